"""A small bank for searches, and the command line that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.session import Session
from bench.trials.plan import load_methods
from bench.tune import serial
from bench.tune.search import Budget, Search
from tests.helpers.searches import BUDGETS, SMALL, TUNE


@pytest.fixture(scope="session")
def banks(tmp_path_factory) -> Path:
    """One folder of banks for all tests here, so that the small one is built once."""
    return tmp_path_factory.mktemp("tune-banks")


@pytest.fixture(scope="session")
def bank(banks) -> Bank:
    config = RunConfig(
        methods=("eero",), dataset=("digits",), backbone=("cifar_resnet20",), weights="random", exits="2,5",
        bank_dir=banks, threads=1,
    )  # fmt: skip
    session = Session(config)
    return next(session.sources()).ensure("cpu")


@pytest.fixture
def environment(banks) -> dict[str, str]:
    """What a `bench` process of these tests is given."""
    return {**os.environ, "BENCH_CACHE": str(banks), "COLUMNS": "160", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def bench(environment, bank, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run `bench COMMAND …` on the small bank in an empty folder and return the finished process."""

    def run(command: str, *words: object) -> subprocess.CompletedProcess:
        parts = [sys.executable, "-m", "bench", command, *SMALL, "--bank-dir", str(bank.path.parent), *map(str, words)]
        return subprocess.run(parts, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture
def tune(environment, bank, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run `bench tune …` in an empty folder and return the finished process."""

    def run(*words: object) -> subprocess.CompletedProcess:
        command = [*TUNE, "--bank-dir", str(bank.path.parent), *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture
def search_of(bank, tmp_path) -> Callable[..., Search]:
    """Make a search of one method: `search_of("eero", trials=6)`."""

    def make(name: str, trials: int = 6, seeds=(0, 1), folder: Path | None = None, search_seed: int = 0) -> Search:
        (method,) = load_methods([name])
        return Search(bank, method, Budget(trials, tuple(seeds), BUDGETS, search_seed), folder or tmp_path / "tuned")

    return make


@pytest.fixture
def run_all() -> Callable[..., list]:
    """Run searches in this process; return the rows in the order they ended."""

    def run(*searches: Search) -> list:
        rows: list = []
        serial.run(searches, "cpu", 1, None, lambda search, number: None, lambda search, row: rows.append(row))
        return rows

    return run
