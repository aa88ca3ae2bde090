"""The chance variation of coverage: the Beta law of split conformal sets, and intervals of an observed share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import beta, betabinom

from bench.metrics.arrays import Floats
from bench.metrics.conformal import conformal_rank

LEVEL = 0.95  # of all bands and intervals, two-sided, equal tails


@lru_cache(maxsize=256)
def beta_band(n_cal: int, alpha: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the central band of a calibrated set's coverage over infinitely many test samples: Beta(r, n_cal + 1 - r).

    r is the rank of the quantile among n_cal scores (Vovk, 2012); exact for exchangeable samples and scores without
    ties. (1, 1) if the rank exceeds n_cal: every class is in the set.
    """
    rank = conformal_rank(n_cal, alpha)
    if rank > n_cal:
        return 1.0, 1.0
    tails = (1 - level) / 2, (1 + level) / 2
    low, high = beta.ppf(tails, rank, n_cal + 1 - rank)
    return float(low), float(high)


@lru_cache(maxsize=256)
def beta_binomial_band(n_cal: int, n_test: int, alpha: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the central band of the coverage observed on n_test samples: the noise of cal and of test together.

    The count of covered test samples is BetaBinomial(n_test, r, n_cal + 1 - r) (Marques F., 2025).
    """
    rank = conformal_rank(n_cal, alpha)
    if rank > n_cal:
        return 1.0, 1.0
    below = np.cumsum(betabinom.pmf(np.arange(n_test + 1), n_test, rank, n_cal + 1 - rank))
    low, high = np.searchsorted(below, ((1 - level) / 2, (1 + level) / 2))
    return float(low / n_test), float(min(high, n_test) / n_test)


def clopper_pearson(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a share of which `hits` of n were observed (Clopper & Pearson, 1934)."""
    low, high = intervals(n, level)
    return float(low[hits]), float(high[hits])


@lru_cache(maxsize=64)
def intervals(n: int, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return the ends of `clopper_pearson` for 0, 1, …, n hits of n, [n + 1] each."""
    hits, tail = np.arange(n + 1), (1 - level) / 2
    low = np.append(0.0, beta.ppf(tail, hits[1:], n - hits[1:] + 1))
    high = np.append(beta.ppf(1 - tail, hits[:-1] + 1, n - hits[:-1]), 1.0)
    assert np.isfinite(low + high).all()
    return low, high
