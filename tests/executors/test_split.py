"""Dividing trials where workers would idle."""

from __future__ import annotations

import pytest

from bench.executors.split import split
from bench.executors.worker import Worker
from tests.helpers.trials import outcome


def _points(parts) -> list[list[str]]:
    return [[p.point for p in part.trial.points] for part in parts]


def test_enough_trials_stay_whole(work):
    trials = [t for _, t in work("msdnet_thresh", seeds=(0, 1, 2))]
    assert [p.trial for p in split(trials, 3)] == trials
    assert split([], 4) == []


@pytest.mark.parametrize("slots", range(1, 12))
def test_every_point_lies_in_one_part_and_in_order(work, slots):
    trials = [t for _, t in work("msdnet_thresh", "entropy_thresh", budgets=(0.5, 0.6, 0.7, 0.8, 0.9))]
    parts = split(trials, slots)
    assert len(parts) == max(2, min(slots, 10))
    for origin, trial in enumerate(trials):
        mine = [part.trial for part in parts if part.origin == origin]
        assert tuple(p for t in mine for p in t.points) == trial.points
        assert all(t.points and t.budgets == trial.budgets for t in mine)
    assert [p.origin for p in parts] == sorted(p.origin for p in parts)


def test_the_trial_that_owes_most_is_divided_first(work):
    (small,) = [t for _, t in work("msdnet_thresh", budgets=(0.5,))]
    (large,) = [t for _, t in work("msdnet_thresh", budgets=(0.5, 0.6, 0.7, 0.8))]
    assert _points(split([small, large], 3)) == [
        ["budget=0.5"],
        ["budget=0.5", "budget=0.6"],
        ["budget=0.7", "budget=0.8"],
    ]


@pytest.mark.slow
def test_parts_give_what_the_whole_gives(work, settings):
    whole = work("msdnet_thresh", budgets=(0.5, 0.7, 0.9), references=True)
    for bank, trial in whole:
        expected = outcome(Worker(settings()).run(bank, trial))
        parts = split([trial], 3)
        assert len(parts) == 3
        got = [r for part in parts for r in outcome(Worker(settings()).run(bank, part.trial))]
        assert got == expected
