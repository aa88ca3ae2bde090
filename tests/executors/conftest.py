"""A small real bank, trials on it, and methods with faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.executors.worker import Settings
from bench.plugins import registry
from bench.plugins.files import load_file
from bench.session import Session
from bench.trials.plan import Trial
from tests.helpers.commands import SMALL_CONFIG
from tests.helpers.paths import ROOT
from tests.helpers.trials import FAULTY

Work = list[tuple[Bank, Trial]]
HASTY = '''
"""A process that loads this file ends sooner after a trial that hangs."""
from bench.executors import deadline
from bench.methods.msdnet_thresh import MSDNetThreshold
deadline.GRACE = 2.0
class Hasty(MSDNetThreshold):
    name = "hasty"
'''


@pytest.fixture(scope="session")
def bank(small_bank) -> Bank:
    return small_bank


@pytest.fixture(scope="session", autouse=True)
def _faulty() -> Iterator[None]:
    before = {kind: dict(known) for kind, known in registry._files.items()}
    load_file(FAULTY)
    yield
    registry._files.update(before)


@pytest.fixture
def work(bank, tmp_path) -> Callable[..., Work]:
    """Plan trials of methods on the small bank; the references are left out unless they are asked for."""

    def make(*methods: str, seeds=(0,), budgets=(0.5, 0.9), references: bool = False) -> Work:
        given = {"methods": methods, "seeds": seeds, "budgets": budgets, "output": tmp_path / "results"}
        session = Session(RunConfig(**SMALL_CONFIG, **given))
        ready = session.prepare(next(session.sources()))
        return [(bank, t) for bank, t in ready.work if references or t.method != "references"]

    return make


@pytest.fixture
def hasty(tmp_path) -> Path:
    """A plugin file for workers, not for this process."""
    file = tmp_path / "hasty.py"
    file.write_text(HASTY)
    return file


@pytest.fixture
def settings() -> Callable[..., Settings]:
    def make(**options) -> Settings:
        return Settings(**{"device": "cpu", "threads": 1, "provenance": {}} | options)

    return make


DRIVER = """
import sys
from bench.bank.bank import Bank
from bench.errors import UserError
from bench.executors.ray import Cluster, run
from bench.executors.worker import Settings
from bench.plugins.files import load_file
from bench.trials.plan import Trial, load_methods, method_points
from bench.bank.cell import cell_of
if __name__ == "__main__":
    load_file({plugin!r})
    (method,) = load_methods(["fine[mark={mark},seconds=0.2]"])
    bank = Bank.open({bank!r})
    trials = [
        (bank, Trial(cell_of(bank), method.name, method.config, s, method_points(method, (0.9,), s), (0.9,)))
        for s in range({seeds})
    ]
    try:
        for trial, results in run(trials, Settings("cpu", 1, {{}}), cluster=Cluster({cluster}), plugins=[{plugin!r}]):
            print("done", trial.seed, results[0][0].status, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
    except UserError as error:
        print(error, flush=True)
        sys.exit(2)
"""


@pytest.fixture
def driver(bank, tmp_path):
    """Start a driver of its own, as a terminal does: in a group of processes that Ctrl-C reaches as a whole."""

    def start(seeds: int, cluster: str = "jobs=1", **environment: str) -> subprocess.Popen:
        script = tmp_path / "driver.py"
        text = DRIVER.format(plugin=str(FAULTY), mark=tmp_path, bank=str(bank.path), seeds=seeds, cluster=cluster)
        script.write_text(text)
        return subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start
