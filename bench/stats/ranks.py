"""Ranks with ties: simultaneous confidence intervals from those of all pairwise differences.

A method is ranked behind those that are significantly better and before those that are significantly worse: its best
rank is 1 + the number of the former, its last M - that of the latter. One sup-t quantile serves all pairs, so with 95 %
probability all true ranks are in their intervals (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91,
2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.stats.bands import sup_t
from bench.stats.bootstrap import LEVEL, Draws
from bench.stats.compare import MIN_SEEDS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rank:
    """The simultaneous confidence interval for the rank of a method, counted from 1."""

    first: int
    last: int

    @property
    def leading(self) -> bool:
        """Whether the method may be the best one."""
        return self.first == 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def pairwise_sure(
    values: dict[str, Array], seeds: Sequence[int], draws: Draws, level: float = LEVEL
) -> set[tuple[str, str]]:
    """Return the pairs (better, worse) that differ significantly, from one statistic's values [1+R, S] per method.

    Empty for fewer than MIN_SEEDS seeds: too few to estimate how seeds differ.
    """
    names = sorted(values)
    pairs = list(combinations(range(len(names)), 2))
    if len(seeds) < MIN_SEEDS or not pairs:
        return set()
    stack = np.stack([values[name] for name in names], -1)
    difference = np.stack([stack[..., i] - stack[..., j] for i, j in pairs], -1)
    deviation, se = draws.deviations(difference, seeds, several=True)
    q, mean = sup_t(deviation, se, level), difference[0].mean(0)
    sure = set()
    for (i, j), d, e in zip(pairs, mean, se, strict=True):
        if abs(d) > q * e:
            sure.add((names[i], names[j]) if d > 0 else (names[j], names[i]))
    return sure


def ranks_from(sure: set[tuple[str, str]], names: Sequence[str]) -> dict[str, Rank]:
    """Return each method's interval of ranks, given the pairs (better, worse) that differ significantly."""
    better = {name: sum(worse == name for _, worse in sure) for name in names}
    worse = {name: sum(good == name for good, _ in sure) for name in names}
    return {name: Rank(1 + better[name], len(names) - worse[name]) for name in sorted(names)}


def ranks(values: dict[str, Array], seeds: Sequence[int], draws: Draws, level: float = LEVEL) -> dict[str, Rank]:
    """Return each method's interval of ranks by one statistic, higher being better; none below MIN_SEEDS seeds."""
    if len(seeds) < MIN_SEEDS:
        return {}
    return ranks_from(pairwise_sure(values, seeds, draws, level), list(values))
