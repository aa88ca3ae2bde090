"""Divide trials if workers would be idle: the points of a trial are distributed, its fit is repeated for each part."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bench.trials.plan import Trial


@dataclass(frozen=True)
class Part:
    """Some of the points of trial number `origin`, as a separate trial."""

    origin: int
    trial: Trial


def split(trials: Sequence[Trial], slots: int) -> list[Part]:
    """Divide trials until there are as many parts as slots, or one point in each part.

    A part keeps the budgets of its trial's fit and takes neighbouring points, so that the parts' results, in order,
    are the trial's. The trial with the most points per part is divided next; ties go to the earlier one.
    """
    shares = [1] * len(trials)
    while sum(shares) < slots:
        most = max(range(len(trials)), key=lambda i: len(trials[i].points) / shares[i], default=None)
        if most is None or shares[most] >= len(trials[most].points):
            break
        shares[most] += 1
    return [
        Part(i, dataclasses.replace(trial, points=trial.points[start:stop]))
        for i, (trial, share) in enumerate(zip(trials, shares, strict=True))
        for start, stop in _cuts(len(trial.points), share)
    ]


def _cuts(count: int, shares: int) -> list[tuple[int, int]]:
    edges = [count * k // shares for k in range(shares + 1)]
    return list(itertools.pairwise(edges))
