"""A small real bank, trials on it, and methods with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import registry
from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.executors.worker import Settings
from bench.plugins import load_file
from bench.session import Session
from bench.trials.plan import Trial

FAULTY = Path(__file__).with_name("faulty.py")
Work = list[tuple[Bank, Trial]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("executors")


@pytest.fixture(scope="session")
def bank(folder) -> Bank:
    session = _session(folder, ("msdnet_thresh",), (0,), (0.5,))
    return session.ensure_bank(next(session.sources()))


@pytest.fixture(scope="session", autouse=True)
def _faulty() -> Iterator[None]:
    before = {kind: dict(known) for kind, known in registry._files.items()}
    load_file(FAULTY)
    yield
    registry._files.update(before)


@pytest.fixture
def work(folder, bank) -> Callable[..., Work]:
    """Plan trials of methods on the small bank; the references are left out unless they are asked for."""

    def make(*methods: str, seeds=(0,), budgets=(0.5, 0.9), references: bool = False) -> Work:
        trials, _ = _session(folder, methods, seeds, budgets).plan(bank)
        return [(bank, t) for t in trials if references or t.method != "references"]

    return make


@pytest.fixture
def settings() -> Callable[..., Settings]:
    def make(**options) -> Settings:
        return Settings(**{"device": "cpu", "threads": 1, "provenance": {}} | options)

    return make


def _session(folder: Path, methods, seeds, budgets) -> Session:
    return Session(
        RunConfig(
            methods=methods,
            seeds=seeds,
            budgets=budgets,
            dataset=("digits",),
            backbone=("cifar_resnet20",),
            weights="random",
            image_size=16,
            exits="2,5",
            bank_dir=folder / "banks",
            output=folder / "results",
            threads=1,
        )
    )


def outcome(results) -> list[tuple]:
    """What must be the same whatever ran a trial."""
    return [(r.id, r.status, r.metrics, r.val, r.per_exit) for r, _ in results]


def by_title(done) -> dict[str, list[tuple]]:
    """Collect what an executor yields; a trial that it yields twice is an error."""
    found: dict[str, list[tuple]] = {}
    for trial, results in done:
        assert trial.title not in found
        found[trial.title] = outcome(results)
    return found
