"""Split conformal prediction sets (LAC, APS and RAPS): quantiles, which sets contain their label, and sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import UserError
from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, Ints, to_numpy

TOLERANCE = 1e-8  # of MAPIE where it compares LAC scores with a quantile
ROUNDING = 1e-14  # of a sum of many probabilities
SEED = 0  # of the uniform numbers that randomise APS and RAPS
PENALTY, FREE = 0.01, 5  # of RAPS: lambda and k_reg, fixed for every data set, never tuned


@lru_cache(maxsize=4096)
def conformal_rank(n: int, alpha: float) -> int:
    """Return ceil((n+1)(1-alpha)) in exact decimal arithmetic: n = 999 and alpha = 0.1 give 900, never 901."""
    if not 0.0 < alpha < 0.5:
        raise UserError(f"alpha, the tolerated share of misses, must be between 0 and 0.5, not {alpha}.")
    return math.ceil((n + 1) * (1 - Fraction(str(float(alpha)))))


def lac_quantile(scores: ArrayLike, alpha: float) -> float:
    """Return the ceil((n+1)(1-alpha))-th smallest of scores [n] (LAC: 1 - p_y), or +inf where that rank exceeds n."""
    values = np.sort(to_numpy(scores).astype(np.float64).ravel())
    if np.isnan(values).any():
        raise UserError("Conformal scores contain NaN, so they have no quantile; score finite probabilities.")
    rank = conformal_rank(len(values), alpha)
    return float(values[rank - 1]) if rank <= len(values) else math.inf


def within(scores: Floats, quantile: Floats | float) -> NDArray[np.bool_]:
    """Return which LAC scores are in the set, with MAPIE's tolerance, so that all kinds of LAC sets agree."""
    return scores - quantile <= TOLERANCE


def lac_sizes(table: ClassProbabilities, quantiles: Floats | float) -> Ints:
    """Return the sizes of LAC sets [N] from a table of probabilities and quantiles [N], or one for all."""
    q = np.broadcast_to(np.asarray(quantiles, np.float64), len(table.first))
    return _leading(lambda rank, places: within(1.0 - table.falling.take(places), q), table)


@dataclass(frozen=True)
class Uniforms:
    """The numbers in [0, 1) that randomise APS and RAPS: one a sample of cal [n] and of test [N]."""

    cal: Floats
    test: Floats

    @classmethod
    def dealt(cls, cal_order: Ints, test_order: Ints) -> Uniforms:
        """Draw them from the fixed seed and deal them in these orders, which the content of the samples decides."""
        drawn = np.random.RandomState(SEED)
        cal, test = np.empty(len(cal_order)), np.empty(len(test_order))
        cal[cal_order] = drawn.uniform(size=len(cal))
        test[test_order] = drawn.uniform(size=len(test))
        return cls(cal, test)


def adaptive_sets(
    cal: ClassProbabilities, test: ClassProbabilities, uniforms: Uniforms, alphas: Sequence[float], regularised: bool
) -> tuple[NDArray[np.bool_], Ints]:
    """Return which APS or, if regularised, RAPS sets contain their label and their sizes, [alphas, N] each.

    The score of a class grows with its rank, so that the size of a set is found by bisection.
    """

    def penalty(rank: Ints) -> Floats | int:
        return PENALTY * np.maximum(rank + 1 - FREE, 0) if regularised else 0

    scores = cal.summed.take(cal.first + cal.rank) - uniforms.cal * cal.p_true + penalty(cal.rank)
    quantiles = [lac_quantile(scores, alpha) for alpha in alphas]
    u, falling, summed = uniforms.test, test.falling, test.summed
    sizes = np.stack(
        [
            _leading(
                lambda rank, places, q=q: (  # type: ignore[misc]
                    summed.take(places) - u * falling.take(places) + penalty(rank) - q <= ROUNDING
                ),
                test,
            )
            for q in quantiles
        ]
    )
    return test.rank < sizes, sizes


def _leading(inside: Callable[[Ints, Ints], NDArray[np.bool_]], table: ClassProbabilities) -> Ints:
    """Count the leading ranks of each row that are inside, [N], where no rank after an outside one is.

    inside: from ranks [N] and their places in the flat table.
    """
    low, high = np.zeros(len(table.first), np.int64), np.full(len(table.first), table.classes)
    for _ in range(table.classes.bit_length()):
        middle = (low + high) // 2
        rank = np.minimum(middle, table.classes - 1)
        fits = inside(rank, table.first + rank) & (middle < high)
        low, high = np.where(fits, middle + 1, low), np.where(fits, high, middle)
    return low
