from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from bench.metrics.bands import beta_band, beta_binomial_band, clopper_pearson
from bench.metrics.conformal import conformal_rank
from tests.helpers.outcomes import outcomes, scored


def test_beta_band_by_hand():
    # n = 1, alpha = .4: rank ceil(2 · .6) = 2 > 1, every class. n = 2: rank 2 of 2, Beta(2, 1), whose cdf is x²
    assert beta_band(1, 0.4) == (1.0, 1.0)
    assert beta_band(2, 0.4) == pytest.approx((np.sqrt(0.025), np.sqrt(0.975)))


def test_beta_band_at_the_usual_size():
    low, high = beta_band(1000, 0.05)
    spread = np.sqrt(0.05 * 0.95 / 1000)
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.03)  # 1.35 points
    assert low < 0.95 < high


@pytest.mark.parametrize(("n_cal", "n_test", "alpha"), [(60, 40, 0.1), (200, 500, 0.05), (2500, 300, 0.01)])
def test_bands_hold_what_they_promise(n_cal, n_test, alpha):
    rng, rank = np.random.default_rng(0), conformal_rank(n_cal, alpha)
    cal, test = rng.random((4000, n_cal)), rng.random((4000, n_test))
    q = np.sort(cal, axis=1)[:, rank - 1]
    for band, found in (
        (beta_band(n_cal, alpha), q),  # of uniform scores, coverage over all test samples is the quantile itself
        (beta_binomial_band(n_cal, n_test, alpha), (test <= q[:, None]).mean(axis=1)),
    ):
        inside = ((band[0] <= found) & (found <= band[1])).mean()
        assert 0.94 <= inside <= 1.0
        assert (found < band[0]).mean() <= 0.035 and (found > band[1]).mean() <= 0.035


def test_the_noise_of_test_widens_the_band():
    low, high = beta_band(500, 0.1)
    for n_test, slack in ((200, 0.01), (10**6, -1e-4)):
        both = beta_binomial_band(500, n_test, 0.1)
        assert both[0] < low - slack and both[1] > high + slack


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 300), share=st.floats(0, 1))
def test_clopper_pearson_is_scipys(n, share):
    hits = round(share * n)
    theirs = binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_in_the_scores():
    s = scored(outcomes(300, seed=1), outcomes(400, seed=2))
    assert s["coverage_beta_low@0.05"] == pytest.approx(beta.ppf(0.025, 286, 15))
    assert (s["coverage_band_low@0.1"], s["coverage_band_high@0.1"]) == beta_binomial_band(300, 400, 0.1)
    hits = round(s["coverage_lac@0.05"] * 400)
    assert (s["coverage_low_lac@0.05"], s["coverage_high_lac@0.05"]) == clopper_pearson(hits, 400)
