"""Optima at the ends of ranges are named; `tests.helpers.searches.SPACE` has the ranges."""

from __future__ import annotations

import pytest

from bench.tune.edges import at_edges
from tests.helpers.searches import made, row


def best(**params):
    return made([row(0, 0.5, 0.5), row(1, 0.7, 0.7, **params), row(2, 0.6, 0.6, rate=1.0, depth=1)])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"rate": 1.0}, ["rate=1.0 is at the upper end of its range, 0.001 … 1: better values may lie beyond it"]),
        ({"rate": 0.8}, ["rate=0.8 is at the upper end of its range, 0.001 … 1: better values may lie beyond it"]),
        ({"rate": 0.5}, []),  # 90 % of a range of three decades
        (
            {"rate": 0.00125},
            ["rate=0.00125 is at the lower end of its range, 0.001 … 1: "],
        ),
        ({"depth": 8}, ["depth=8 is at the upper end of its range, 1 … 8: better values may lie beyond it"]),
        ({"depth": 7}, []),
        ({"depth": 1, "rate": 0.001, "kind": None}, ["rate=0.001", "depth=1"]),
    ],
)
def test_only_the_best_trial_counts_on_the_scale_of_each_range(params, said):
    found = at_edges(best(**params))
    assert len(found) == len(said) and all(s.startswith(t) for s, t in zip(found, said, strict=True))


def test_nothing_is_said_of_defaults_or_before_the_end():
    edge = row(0, 0.5, 0.5, depth=8)
    assert at_edges(made([edge, row(1, 0.4, 0.4)])) == []
    assert at_edges(made([row(0, 0.5, 0.5), row(1, 0.7, 0.7, depth=8)], finished=False)) == []
