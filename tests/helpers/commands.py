"""The small job that tests of the command line run, and the records it leaves."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.trials.store import Store
from tests.helpers.forked import Forked

SMALL_CONFIG = {
    "dataset": "digits", "backbone": "cifar_resnet20", "weights": "random", "exits": "2,5", "threads": 1,
}  # fmt: skip
SMALL = [word for name, value in SMALL_CONFIG.items() for word in (f"--{name}", str(value))]
JOB = ["run", *SMALL, "--methods", "jeidnn,msdnet_thresh", "--seeds", "0,1", "--budgets", "0.2,0.6,1"]
POINTS = 2 * ((2 + 2) * 3 + 3 + 1)  # seeds × ((methods + hull and random) × budgets + static exits + oracle)


def results(folder: Path) -> dict[str, dict]:
    return {path.name: json.loads(path.read_text()) for path in Store(folder).paths()}


def numbers(folder: Path) -> dict[str, tuple]:
    return {n: (r["status"], r["metrics"], r["val"], r["per_exit"]) for n, r in results(folder).items()}


def results_safely(folder: Path) -> list[Path]:
    return Store(folder).paths() if folder.exists() else []


def begun(process: Forked, folder: Path, enough: int, seconds: float = 150) -> None:
    """Wait until a run has stored so many records; fail if it ends before."""
    end = time.monotonic() + seconds
    while process.poll() is None and len(results_safely(folder)) < enough and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1]
