"""Student's interval of a mean over seeds, for scores that have no per-sample outcomes to resample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from scipy import stats

from bench.stats.bootstrap import LEVEL, Estimate


@lru_cache
def quantile(level: float, freedom: int) -> float:
    """Return the two-sided quantile of Student's distribution at this level."""
    return float(stats.t.ppf((1 + level) / 2, freedom))


def interval(values: Iterable[float], seeds: Sequence[int] = (), level: float = LEVEL, pools: float = 0.0) -> Estimate:
    """Return the mean of n values with t(1 - (1 - level)/2, n - 1) · s · √(1/n + pools) on both sides.

    No interval if n = 1. pools: see `bench.stats.pools`. The test set is taken as given.
    """
    v = [float(x) for x in values]
    mean = math.fsum(v) / len(v)
    if len(v) == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, math.nan, math.nan, tuple(seeds))
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in v) / (len(v) - 1))
    error = spread * math.sqrt(1 / len(v) + pools)
    half = quantile(level, len(v) - 1) * error
    return Estimate(mean, mean - half, mean + half, error, spread, math.nan, tuple(seeds))
