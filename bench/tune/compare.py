"""Compare a search's winner with the defaults on samples and seeds that the search did not use.

For every deciding seed both are fitted with the images of the search as val and run on the held-back images. The
difference of their scores, averaged over seeds, has a two-level bootstrap interval: every draw resamples the seeds,
and resamples the images once for both methods, all budgets and all seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.tune.objective import OperatingPoint, Played, area

DRAWS = 1000
LEVEL = 95  # per cent


@dataclass(frozen=True)
class Duel:
    """The results of defaults and winner for one seed, per image."""

    rows: np.ndarray  # int64 [N], positions in the pool
    defaults: Sequence[Played]
    best: Sequence[Played]


def scores(duel: Duel, low: float, high: float) -> tuple[float, float]:
    """Return the scores of the defaults and of the winner for costs from low to high."""
    one, other = (area([p.point() for p in played], low, high) for played in (duel.defaults, duel.best))
    return one, other


def interval(duels: Sequence[Duel], low: float, high: float) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of the mean difference, best minus defaults."""
    images, where = np.unique(np.concatenate([d.rows for d in duels]), return_inverse=True)
    places = np.split(where, np.cumsum([len(d.rows) for d in duels])[:-1])
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(images), np.full(len(images), 1 / len(images)), size=DRAWS)
    drawn = rng.integers(len(duels), size=(DRAWS, len(duels)))
    differences = np.stack([_differences(d, counts[:, at], low, high) for d, at in zip(duels, places, strict=True)], 1)
    means = np.nanmean(np.take_along_axis(differences, drawn, axis=1), axis=1)
    ends = np.nanpercentile(means, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(ends[0]), float(ends[1])


def _differences(duel: Duel, counts: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return best minus defaults for every draw [R]; counts [R, N]: how often each image was drawn."""
    return _areas(duel.best, counts, low, high) - _areas(duel.defaults, counts, low, high)


def _areas(played: Sequence[Played], counts: np.ndarray, low: float, high: float) -> np.ndarray:
    drawn = counts.sum(1)
    means = [(p.budget, counts @ p.costs / drawn, counts @ p.right / drawn) for p in played]
    return np.array(
        [
            area([OperatingPoint(b, costs[r], right[r]) for b, costs, right in means], low, high)
            for r in range(len(drawn))
        ]
    )
