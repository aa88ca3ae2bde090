"""A trial on a made-up task, without bank or backbone."""

from __future__ import annotations

import pytest

from bench.bank.cell import Cell
from bench.trials.plan import REFERENCES, Trial, load_methods, method_points, reference_points
from bench.trials.splits import SeedSplits
from tests.helpers import records as made_up
from tests.helpers.tasks import make_split, make_task


@pytest.fixture(scope="session")
def cell() -> Cell:
    names = tuple(f"exit {k}" for k in range(5))
    return made_up.cell(dataset="made-up", backbone="noise", image_size=8, exit_names=names)


@pytest.fixture
def splits() -> SeedSplits:
    cal, test = (make_split(300, exits=5, classes=6, dims=12, seed=s) for s in (901, 902))
    return SeedSplits(make_task(400), cal, test)


@pytest.fixture
def trial_of(cell):
    def make(name: str, budgets=(0.1, 0.5, 0.8), seed: int = 0) -> Trial:
        if name == REFERENCES:
            return Trial(cell, REFERENCES, None, seed, reference_points(5, budgets, seed), tuple(budgets))
        (method,) = load_methods([name])
        return Trial(cell, method.name, method.config, seed, method_points(method, budgets, seed), tuple(budgets))

    return make
