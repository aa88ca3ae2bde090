"""Split conformal prediction sets (LAC, APS and RAPS): quantiles, which sets contain their label, and sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import UserError
from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, Ints, blocks, running_sums, to_numpy

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


def limits(quantiles: Floats, tolerance: float = TOLERANCE) -> Floats:
    """Return the largest float64 whose difference from each quantile [...] is at most a tolerance."""
    found = quantiles + tolerance
    finite = np.isfinite(quantiles)

    def over(values: Floats) -> NDArray[np.bool_]:
        return np.subtract(values, quantiles, out=np.zeros_like(values), where=finite) > tolerance

    while (high := over(found)).any():
        found = np.where(high, np.nextafter(found, -np.inf), found)
    while (low := finite & ~over(higher := np.nextafter(found, np.inf))).any():
        found = np.where(low, higher, found)
    return found


def lac_sizes(table: ClassProbabilities, quantiles: Floats, group: Ints) -> Ints:
    """Return the sizes of LAC sets [T, N] from quantiles [T, G] of every group and the samples' groups [N]."""
    sizes = np.empty((len(quantiles), len(group)), np.int64)
    for g, own in enumerate(quantiles.T):
        distinct, which = np.unique(own, return_inverse=True)
        members, most = np.flatnonzero(group == g), limits(distinct)
        for block in blocks(len(members), table.classes):
            rows = members[block]
            sizes[:, rows] = _at_most(1.0 - table.falling(rows), most)[:, which].T
    return sizes


def class_sizes(table: ClassProbabilities, quantiles: Floats) -> Ints:
    """Return the sizes of LAC sets [T, N] from quantiles [T, C] of every class."""
    most = limits(quantiles)
    sizes = np.empty((len(most), len(table.labels)), np.int64)
    for rows in blocks(len(table.labels), table.classes):
        lac = 1.0 - table.part(rows)
        for found, q in zip(sizes, most, strict=True):
            found[rows] = np.count_nonzero(lac <= q, axis=1)
    return sizes


def _at_most(rising: Floats, values: Floats) -> Ints:
    """Count in each rising row [B, C] the numbers up to each of some values [T]: int64 [B, T]."""
    import torch  # imported here so that reports do not need torch

    each = torch.from_numpy(values).expand(len(rising), -1).contiguous()
    return torch.searchsorted(torch.from_numpy(rising), each, right=True).numpy()


@dataclass(frozen=True)
class Uniforms:
    """The numbers in [0, 1) that randomise APS and RAPS: one per sample of cal [n] and of test [N]."""

    cal: Floats
    test: Floats

    @classmethod
    def dealt(cls, cal_order: Ints, test_order: Ints) -> Uniforms:
        """Draw them from the fixed seed and assign them in these orders, which depend on the samples' content alone."""
        drawn = np.random.RandomState(SEED)
        cal, test = np.empty(len(cal_order)), np.empty(len(test_order))
        cal[cal_order] = drawn.uniform(size=len(cal))
        test[test_order] = drawn.uniform(size=len(test))
        return cls(cal, test)


def adaptive_sets(
    cal: ClassProbabilities, test: ClassProbabilities, uniforms: Uniforms, alphas: Sequence[float]
) -> dict[str, tuple[NDArray[np.bool_], Ints]]:
    """Return which `aps` and `raps` sets contain their label and their sizes, [alphas, N] each.

    The score of a class rises with its rank, and is at most its score without randomisation. Classes whose score
    without randomisation is within the quantile are in the set; of the others only the first may be.
    """
    penalties = {"aps": np.zeros(test.classes), "raps": PENALTY * np.maximum(np.arange(1, test.classes + 1) - FREE, 0)}
    scores = cal.down_to_label - uniforms.cal * cal.p_true
    quantiles = {
        kind: np.array([lac_quantile(scores + penalty[cal.rank], alpha) for alpha in alphas])
        for kind, penalty in penalties.items()
    }
    most = {kind: limits(q, ROUNDING) for kind, q in quantiles.items()}
    sizes = {kind: np.empty((len(test.labels), len(alphas)), np.int64) for kind in penalties}
    for rows in blocks(len(test.labels), test.classes):
        falling = test.falling(rows)
        summed = running_sums(falling)
        for kind, penalty in penalties.items():
            inside = _at_most(summed + penalty if penalty.any() else summed, most[kind])
            next_one = np.minimum(inside, test.classes - 1)
            drawn = uniforms.test[rows, None] * np.take_along_axis(falling, next_one, axis=1)
            score = np.take_along_axis(summed, next_one, axis=1) - drawn + penalty[next_one]
            sizes[kind][rows] = inside + ((score - quantiles[kind] <= ROUNDING) & (inside < test.classes))
    return {kind: (test.rank < found.T, found.T) for kind, found in sizes.items()}
