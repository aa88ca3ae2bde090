from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.stats.bands import band, sup_t


def test_the_quantile_of_independent_normals_is_sidaks():
    z = np.random.default_rng(0).standard_normal((40_000, 8))
    assert sup_t(z * [1, 2, 3, 4, 5, 6, 7, 8], np.arange(1, 9.0)) == pytest.approx(
        stats.norm.ppf((1 + 0.95 ** (1 / 8)) / 2), abs=0.03
    )


def test_the_quantile_of_one_and_the_same_normal_is_its_own():
    z = np.random.default_rng(0).standard_normal((40_000, 1))
    assert sup_t(np.repeat(z, 5, 1), np.ones(5)) == pytest.approx(1.96, abs=0.03)


def test_what_does_not_vary_is_left_aside():
    z = np.random.default_rng(0).standard_normal((1000, 2)) * [1, 0]
    assert sup_t(z, np.array([1.0, 0.0])) == sup_t(z[:, :1], np.ones(1))
    assert sup_t(z[:, 1:], np.zeros(1)) == 0.0


def test_a_curve_wins_only_where_the_whole_band_is_above_zero():
    z = np.random.default_rng(0).standard_normal((5000, 3))
    found = band((0.3, 0.5, 0.7), np.array([2.0, 4.0, -4.0]), z, np.ones(3))
    assert found.wins() == (0.5,) and found.losses() == (0.7,)
    assert found.high[0] - found.low[0] == pytest.approx(2 * found.quantile)
