from __future__ import annotations

import numpy as np
import pytest

from bench.stats import frontier
from bench.stats.oracle import first_correct, shares_from, vertices

CORRECT = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1]], bool)
COSTS = np.array([0.2, 0.5, 1.0])


def test_vertices_of_five_samples():
    shares = first_correct(CORRECT).mean(0)
    assert shares == pytest.approx([0.2, 0.4, 0.2])
    cost, accuracy = vertices(shares[None], COSTS)
    assert cost[0] == pytest.approx([0.2, 0.2 + 0.4 * 0.3, 0.2 + 0.4 * 0.3 + 0.2 * 0.8])
    assert accuracy[0] == pytest.approx([0.2, 0.6, 0.8])


def test_the_curve_is_that_of_the_lagrangian_for_every_price():
    rng = np.random.default_rng(1)
    correct = rng.random((60, 4)) < [0.2, 0.4, 0.5, 0.7]
    costs = np.array([0.1, 0.35, 0.6, 1.0])
    corner = vertices(first_correct(correct).mean(0)[None], costs)
    for price in (0.5, 1.3, 1.9, 3.0, 7.0):
        chosen = np.argmin(~correct + price * costs, axis=1)
        cost, accuracy = costs[chosen].mean(), correct[np.arange(60), chosen].mean()
        assert frontier.hull_values(*corner, [cost])[0, 0] == pytest.approx(accuracy)


def test_shares_come_back_from_a_recorded_earliest_correct_oracle():
    index = np.where(CORRECT.any(1), CORRECT.argmax(1), 0)
    recorded = np.bincount(index, minlength=3) / 5
    assert shares_from(CORRECT.any(1).mean(), recorded) == pytest.approx(first_correct(CORRECT).mean(0))
