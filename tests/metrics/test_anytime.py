from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.anytime import DROPS, anytime_accuracy, scores, worst_drop
from tests.helpers.outcomes import made_of, outcomes, permuted, point


def test_steps_by_hand():
    # a uniform interruption in [10, 110] falls before 30 in 20 % of cases and before 110 in the other 80 %
    assert anytime_accuracy(np.array([0.5, 0.6, 0.9]), np.array([10, 30, 110])) == pytest.approx(0.2 * 0.5 + 0.8 * 0.6)
    assert anytime_accuracy(np.array([0.7]), np.array([5])) == 0.7


def test_anytime_accuracy_is_the_mean_over_interruptions():
    accuracy, costs = np.array([0.2, 0.5, 0.4, 0.8]), np.array([100, 250, 300, 900])
    times = np.linspace(100, 900, 80_001)[:-1]
    reached = accuracy[np.searchsorted(costs, times, side="right") - 1]
    assert anytime_accuracy(accuracy, costs) == pytest.approx(reached.mean(), abs=1e-4)


def test_drops_by_hand():
    falls = [[0.5, 0.9, 0.84], [0.2, 0.3, 0.9], [0.9, 0.3, 0.95]]  # by .06, not at all, by .6
    p = [[[a, 1 - a] for a in row] for row in falls]
    test = made_of(p, [0, 0, 0], [0, 0, 0])
    found = scores(point(test, test))
    assert [found[f"drop_probability@{tau}"] for tau in DROPS] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert found["drop_correct"] == pytest.approx(1 / 3)  # the third is right, wrong, right
    assert worst_drop(np.array(falls)).tolist() == pytest.approx([0.06, 0, 0.6])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 40))
def test_bounds_and_order(seed, n):
    test = outcomes(n, seed=seed)
    found = scores(point(test, test))
    assert found == scores(point(permuted(test), permuted(test)))
    drops = [found[f"drop_probability@{tau}"] for tau in DROPS]
    assert all(0 <= value <= 1 for value in found.values()) and drops == sorted(drops, reverse=True)
    each = (test.exit_logits.argmax(-1) == test.labels[:, None]).double().mean(0)
    assert float(each[:-1].min()) - 1e-12 <= found["anytime_accuracy"] <= float(each[:-1].max()) + 1e-12


def test_answers_that_only_get_better_never_drop():
    p = [[[a, 1 - a] for a in (0.1, 0.4, 0.4, 0.9)]] * 3
    found = scores(point(made_of(p, [0, 1, 2], [0] * 3), made_of(p, [0, 1, 2], [0] * 3)))
    assert found["drop_correct"] == found["drop_probability@0.01"] == 0
