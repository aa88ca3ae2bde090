"""Comparisons with one baseline: the best rule on shared heads; Holm-corrected within the setting.

The p-value is that of the two-level bootstrap, so that it agrees with the interval beside it: both ask whether the
difference would recur on other seeds and other test samples. The exact sign-flip test over seeds is given too. It is
conditional on this test set, which all seeds share and on which two methods that are equally good in general differ.
With fewer than MIN_SEEDS paired seeds there are intervals but no p-values: no sign-flip test can reach 5 % there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bench.stats.bootstrap import Draws, Estimate, estimates, p_values

Array = NDArray[np.float64]
MIN_SEEDS = 6
FLIPS = 20_000


@dataclass(frozen=True)
class Comparison:
    """A method's mean paired difference to a baseline. p-values are None below MIN_SEEDS seeds."""

    method: str
    baseline: str
    difference: Estimate
    p: float | None  # two-level bootstrap, uncorrected
    p_holm: float | None
    p_signflip: float | None  # over seeds, given this test set

    @property
    def verdict(self) -> str:
        """Significant at 5 % after Holm's correction or not; 'intervals only' without p-values."""
        if self.p_holm is None:
            return "intervals only"
        if self.p_holm > 0.05:
            return "not significant"
        return "significantly better" if self.difference.value > 0 else "significantly worse"


def compare(
    values: dict[str, Array], baseline: str, seeds: Sequence[int], draws: Draws, level: float = 0.95
) -> list[Comparison]:
    """Compare every other method with the baseline on one statistic; values: [1+R, S] per method, over the same seeds.

    Every difference is taken seed by seed and sample by sample. Holm's family is all methods given.
    """
    names = sorted(name for name in values if name != baseline)
    if not names or not len(seeds):
        return []
    stack = np.stack([values[name] - values[baseline] for name in names], -1)
    found = estimates(stack, seeds, draws, level)
    if len(seeds) < MIN_SEEDS:
        return [Comparison(n, baseline, e, None, None, None) for n, e in zip(names, found, strict=True)]
    deviation, _ = draws.deviations(stack, seeds)
    p = p_values(deviation, stack[0].mean(0))
    flips = [sign_flip(stack[0, :, j]) for j in range(len(names))]
    return [
        Comparison(n, baseline, e, float(a), float(b), c)
        for n, e, a, b, c in zip(names, found, p, holm(p), flips, strict=True)
    ]


def holm(p: ArrayLike) -> Array:
    """Return Holm's step-down adjusted p-values [J]."""
    raw = np.asarray(p, float)
    order = np.argsort(raw, kind="stable")
    scaled = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(scaled).clip(None, 1.0)
    return adjusted


def sign_flip(differences: ArrayLike) -> float:
    """Return the two-sided p-value that the mean of paired differences [S] is 0, under flips of their signs.

    Exact if all 2^S flips are at most FLIPS, else over FLIPS random ones (the same each time).
    """
    d = np.asarray(differences, float)
    found = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", vectorized=True, n_resamples=FLIPS, random_state=len(d)
    )
    return float(found.pvalue)
