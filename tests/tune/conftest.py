"""A small bank for searches, and the command line that runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.bank.bank import Bank
from bench.trials.plan import load_methods
from bench.tune import serial
from bench.tune.search import Budget, Search
from tests.helpers.searches import BUDGETS, TUNE


@pytest.fixture(scope="session")
def bank(small_bank) -> Bank:
    return small_bank


@pytest.fixture
def tune(bench, bank, monkeypatch) -> Callable[..., SimpleNamespace]:
    """Run `bench tune …` on the small bank."""
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *words: bench(*TUNE, *words)


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
