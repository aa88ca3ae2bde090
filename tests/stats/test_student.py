from __future__ import annotations

import math

import pytest

from bench.stats.student import interval


def test_by_hand():
    e = interval([1.0, 2.0, 3.0], (0, 1, 2))
    half = 4.302653 / math.sqrt(3)
    assert (e.value, e.seeds, e.sd_seeds) == (2.0, (0, 1, 2), 1.0)
    assert (e.low, e.high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert e.se == pytest.approx(1 / math.sqrt(3))


def test_one_seed_has_no_interval_and_equal_seeds_a_point():
    assert interval([5.0]).value == 5.0 and not interval([5.0]).known
    same = interval([5.0, 5.0])
    assert (same.low, same.high) == (5.0, 5.0)
