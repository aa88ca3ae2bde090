"""A small bank for searches, and the command line that runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.bank.bank import Bank
from bench.method import Method
from bench.trials.plan import load_methods
from bench.tune import serial
from bench.tune.objective import Evaluator, Played
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
def made_up(monkeypatch) -> None:
    """Scores that cost nothing and depend on parameters and seed."""

    def quality(method: Method) -> float:
        numbers = (value for value in asdict(method.config).values() if isinstance(value, int | float))
        return 1 / (1 + abs(sum(numbers) - 2))

    def last(self, bank, method, seed, budgets):
        right = np.random.default_rng(seed).random(60) < quality(method)
        return np.arange(60), [Played(0.6, np.full(60, 0.6), right.astype(float))]

    monkeypatch.setattr(Evaluator, "score", lambda self, bank, method, seed, budgets: quality(method) + seed / 100)
    monkeypatch.setattr(Evaluator, "last", last)


@pytest.fixture
def run_all() -> Callable[..., list]:
    """Run searches in this process; return the rows in the order they ended."""

    def run(*searches: Search) -> list:
        rows: list = []
        serial.run(searches, "cpu", 1, None, lambda search, number: None, lambda search, row: rows.append(row))
        return rows

    return run
