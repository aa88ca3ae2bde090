from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.thinking import scores
from tests.helpers.outcomes import made_of, outcomes, permuted, point

RIGHT, WRONG = [0.9, 0.1], [0.2, 0.8]
COSTS = [10, 30, 100]


def test_by_hand():
    exits = [
        [RIGHT, RIGHT, WRONG],  # leaves at 1, right; first right at 0: wastes 20 of 100; destroyed at the end
        [WRONG, RIGHT, WRONG],  # leaves at 0, wrong: one too early; destroyed at the end
        [WRONG, WRONG, WRONG],  # hopeless
        [WRONG, WRONG, RIGHT],  # leaves where it is first right
        [RIGHT, WRONG, WRONG],  # leaves at the end, wrong; was right at 0: wastes 90 of 100
    ]
    test = made_of(exits, [1, 0, 2, 2, 2], [0] * 5)
    assert scores(point(test, test, exit_macs=COSTS)) == {
        "overthinking_destructive": 3 / 5,
        "overthinking_wasteful": pytest.approx((0.2 + 0 + 0 + 0.9) / 4),
        "underthinking": 1 / 5,
        "consistency": 4 / 5,
    }


def test_always_right_and_never_right():
    for answer in (RIGHT, WRONG):
        test = made_of([[answer] * 3] * 4, [0, 0, 0, 0], [0] * 4)
        expected = {"overthinking_destructive": 0, "overthinking_wasteful": 0, "underthinking": 0, "consistency": 1}
        assert scores(point(test, test, exit_macs=COSTS)) == expected
    late = made_of([[RIGHT] * 3] * 4, [2, 2, 2, 2], [0] * 4)
    assert scores(point(late, late, exit_macs=COSTS))["overthinking_wasteful"] == pytest.approx(0.9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 40))
def test_bounds_and_order(seed, n):
    test = outcomes(n, seed=seed)
    found = scores(point(test, test))
    assert all(0 <= value <= 1 for value in found.values())
    assert found == scores(point(permuted(test), permuted(test)))
    right = (test.exit_logits.argmax(-1) == test.labels[:, None]).numpy()
    oracle = right.any(1).mean()
    accuracy = right[np.arange(n), test.exit_index.numpy()].mean()
    assert found["underthinking"] <= oracle - accuracy + 1e-12
