from __future__ import annotations

import numpy as np
import pytest

from bench.config import RunConfig, geometric_budgets
from bench.session import Session


@pytest.mark.parametrize("first", [0.02, 0.054, 0.3, 0.6])
def test_twelve_budgets_rise_geometrically_from_just_above_the_first_exit_to_one(first):
    found = geometric_budgets([int(first * 1e8), 50_000_000, 100_000_000])
    assert len(found) == 12 and found[-1] == 1.0 and first < found[0] < 1.2 * first
    ratios = np.array(found[1:]) / np.array(found[:-1])
    assert ratios == pytest.approx(ratios.mean(), rel=0.02)
    assert RunConfig(budgets=found).budgets == found  # they can be given by hand


def test_a_first_exit_that_costs_nearly_everything_leaves_fewer_budgets():
    assert geometric_budgets([95, 100]) == (1.0,)
    assert len(geometric_budgets([9_087, 10_000])) < 12


def test_budgets_are_those_of_the_bank_before_and_after_it_is_built(tmp_path, environment, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", environment["BENCH_CACHE"])
    small = {"dataset": ("digits",), "backbone": ("cifar_resnet20",), "weights": "random", "exits": "2,5"}
    own = {"methods": ("msdnet_thresh",), "bank_dir": tmp_path / "banks", "limit": 60, "threads": 1}
    session = Session(RunConfig(**small, **own, budgets="auto"))
    (source,) = session.sources()
    before = session.config_on(source, source.status())
    bank = source.ensure("cpu")
    after = session.config_on(source, source.status())
    assert before.budgets == after.budgets == geometric_budgets(bank.manifest.macs)
    prepared = session.prepare(source)
    points = {p.budget for _, trial in prepared.work for p in trial.points if p.kind == "method"}
    assert points == set(after.budgets) and all(trial.budgets == after.budgets for _, trial in prepared.work)
    assert session.config_on(source, source.status()) is not session.config
    fixed = Session(RunConfig(**small, **own, budgets=(0.5,)))
    assert fixed.config_on(source, source.status()) is fixed.config


def test_an_exit_that_costs_nothing_is_passed_over():
    assert geometric_budgets([0, 20, 60, 100])[0] == pytest.approx(0.22)
    assert geometric_budgets([0, 100]) == (1.0,)
