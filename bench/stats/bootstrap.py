"""Two-level bootstrap intervals of means over seeds: seeds × test samples, paired, and valid for few seeds.

Let V[s] be a statistic of seed s on the test set and V[r, s] the same on resample r of the test set, T the mean of V
over seeds. Three things vary: seeds (initialisation, batch order, val), test samples, which all seeds share, and the
held-out samples that val is drawn from, which they share in part. The literal two-level bootstrap (draw seeds and
samples with replacement, `plain_deviations`) has two errors for few seeds: its seed part is too narrow by √((S-1)/S)
and normal instead of Student, and sampling noise that seeds do not share is counted at both levels. So a draw here is

    T + φ·(mean_s V[r, s] - T) + ψ·u·Σ_s g_s (V[s] - T) / √(S(S-1)),

with g normal and u = √((S-1)/χ²_{S-1}), shared by all statistics: for ψ = 1 the seed part is exactly s/√S times
Student's t with S-1 degrees of freedom. It already contains the sampling noise that seeds do not share, so the sample
part is shrunk to what they do share: φ² = B / A, where A is the bootstrap variance of the mean over seeds, W the mean
over seeds of each seed's own, and B = (S·A - W)/(S-1), within [0, A]. With one seed φ = 1 and seeds add nothing.

Val samples that seeds have in common shift all of them alike, which the spread between seeds does not show; but the
spread shows how much val samples matter: ψ² = 1 + S·r·(s² - W + B)⁺ / s², with r from `bench.stats.pools`.
Initialisation is a part of s² too, so intervals tend to be too wide rather than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.stats.resample import BootstrapConfig, generator

Array = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, standard error, and the split of its variance.

    sd_seeds: over seeds, on the full test set (NaN for one seed). sd_samples: of one seed's value over resamples of the
    test set (NaN without per-sample outcomes). low and high are NaN if neither is known, and value is inf if some seed
    never reaches the target.
    """

    value: float
    low: float
    high: float
    se: float
    sd_seeds: float
    sd_samples: float
    seeds: tuple[int, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Draws:
    """The shared randomness of one setting: every statistic of a draw sees the same seeds and the same test samples."""

    bootstrap: BootstrapConfig
    seeds: tuple[int, ...]
    normal: Array  # [D, S]
    student: dict[int, Array]  # u [D] for every number of seeds from 2 on
    pools: float = 0.0  # r: what pools add, as a multiple of the variance between seeds

    @classmethod
    def make(cls, seeds: Sequence[int], bootstrap: BootstrapConfig, cell: str, pools: float = 0.0) -> Draws:
        """Draw for the seeds of a setting."""
        rng = generator(bootstrap, cell, "seeds", *map(str, sorted(seeds)))
        normal = rng.standard_normal((bootstrap.draws, len(seeds)))
        uniform = rng.random(bootstrap.draws)
        student = {n: np.sqrt((n - 1) / stats.chi2.ppf(uniform, n - 1)) for n in range(2, len(seeds) + 1)}
        return cls(bootstrap, tuple(sorted(seeds)), normal, student, pools)

    def deviations(self, values: Array, seeds: Sequence[int], *, several: bool = False) -> tuple[Array, Array]:
        """Return draws minus estimate, [D, J], and standard errors [J] of J statistics over these seeds.

        values [1+R, S, J]: row 0 on the test set, the others on its resamples (R = 0 without per-sample outcomes).
        several: for a maximum over J statistics. Each then has its own u, since it has its own standard error, which
        with few seeds may be too small by chance; one u for all would ignore that the maximum selects such cases.
        """
        columns = [self.seeds.index(s) for s in seeds]
        sample, unshared = self._sample_part(values)
        return _sum(self._seed_part(values[0], columns, unshared, several), sample)

    def _seed_part(self, full: Array, columns: Sequence[int], unshared: Array, several: bool) -> tuple[Array, Array]:
        count = len(full)
        if count < 2:
            return np.zeros((self.bootstrap.draws, full.shape[1])), np.zeros(full.shape[1])
        centred = (full - full.mean(0)) / math.sqrt(count * (count - 1))
        variance = (centred**2).sum(0)
        pools = self.pools * (count * variance - unshared).clip(0)
        centred = centred * np.sqrt(1 + np.divide(pools, variance, out=np.zeros_like(pools), where=variance > 0))
        student = self.student[count][:, None]
        if several:
            shifts = np.arange(full.shape[1]) * 7919  # a shifted u is as good as another u
            student = student[:, 0][(np.arange(len(student))[:, None] + shifts) % len(student)]
        return (self.normal[:, columns] @ centred) * student, (centred**2).sum(0)

    def _sample_part(self, values: Array) -> tuple[tuple[Array, Array] | None, Array]:
        """Return draws and variance of what seeds share, and the variance [J] of what they do not."""
        nothing = np.zeros(values.shape[2])
        if len(values) < 2:
            return None, nothing
        count = values.shape[1]
        mean = values[1:].mean(1)
        variance = mean.var(0)
        shared, unshared = variance, nothing
        if count > 1:
            own = values[1:].var(0).mean(0)
            shared = ((count * variance - own) / (count - 1)).clip(0, variance)
            unshared = (own - shared).clip(0)
        shrink = np.sqrt(np.divide(shared, variance, out=np.zeros_like(variance), where=variance > 0))
        return (((mean - mean.mean(0)) * shrink)[np.arange(self.bootstrap.draws) % len(mean)], shared), unshared


def _sum(seed: tuple[Array, Array], sample: tuple[Array, Array] | None) -> tuple[Array, Array]:
    if sample is None:
        return seed[0], np.sqrt(seed[1])
    return seed[0] + sample[0], np.sqrt(seed[1] + sample[1])


def plain_deviations(values: Array, bootstrap: BootstrapConfig, cell: str) -> Array:
    """Return draws minus estimate [D, J] of the literal two-level bootstrap, for comparison."""
    rng = generator(bootstrap, cell, "plain")
    resamples, count = len(values) - 1, values.shape[1]
    found = np.empty((bootstrap.draws, values.shape[2]))
    for d in range(bootstrap.draws):
        row = 1 + d % resamples if resamples else 0
        found[d] = values[row, rng.integers(0, count, count)].mean(0)
    return found - values[0].mean(0)


def estimates(values: Array, seeds: Sequence[int], draws: Draws, level: float = LEVEL) -> list[Estimate]:
    """Return means over seeds with percentile intervals for J statistics [1+R, S, J] at these seeds [S].

    NaN anywhere: nothing is known. Infinite for some seed: the value is inf, without interval. Infinite on resamples
    alone: the upper end is inf if that happens in more than its tail.
    """
    if not len(seeds):
        return [UNKNOWN] * values.shape[2]
    top = np.where(np.isfinite(values), values, -np.inf).max((0, 1))
    safe = np.where(np.isnan(values), 0.0, np.minimum(values, np.where(np.isfinite(top), top, 0.0)))
    deviation, se = draws.deviations(safe, seeds)
    tail = (1 - level) / 2
    ends = safe[0].mean(0) + np.quantile(deviation, [tail, 1 - tail], axis=0)
    endless = np.isinf(values[1:]).any(1).mean(0) > tail if len(values) > 1 else np.zeros(len(top), bool)
    ends[1, endless] = np.inf
    over_seeds = safe[0].std(0, ddof=1) if len(seeds) > 1 else np.full(len(top), math.nan)
    over_samples = np.sqrt(safe[1:].var(0).mean(0)) if len(values) > 1 else np.full(len(top), math.nan)
    table = np.stack([safe[0].mean(0), *ends, se, over_seeds, over_samples], 1)
    table[np.isinf(values[0]).any(0)] = [math.inf, *[math.nan] * 5]
    table[np.isnan(values).any((0, 1))] = math.nan
    if len(seeds) < 2 and len(values) < 2:
        table[:, 1:] = math.nan
    return [Estimate(v, low, high, e, a, b, tuple(seeds)) for v, low, high, e, a, b in table.tolist()]


def p_values(deviation: Array, estimate: Array) -> Array:
    """Return two-sided p-values [J] from draws minus estimate [D, J]: (1 + number of draws as extreme)/(D + 1)."""
    return np.asarray((1 + (np.abs(deviation) >= np.abs(estimate)).sum(0)) / (len(deviation) + 1))
