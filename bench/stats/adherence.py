"""Adherence to budgets: the realised test cost of policies compared with their budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.stats.data import OperatingPoint

TOLERANCE = 0.01  # of the budget


@dataclass(frozen=True)
class Adherence:
    """Means over `count` operating points with scores; NaN where there are none.

    gap: (cost - budget) / budget; violations: share of points that cost more than (1 + TOLERANCE) · budget;
    utilisation: cost / budget.
    """

    gap: float
    gap_absolute: float
    violations: float
    utilisation: float
    count: int


def adherence(points: Iterable[OperatingPoint]) -> Adherence:
    """Return how closely the test costs of these points match their budgets."""
    pairs = [(p.cost, p.budget) for p in points if p.ok and p.budget]
    if not pairs:
        return Adherence(math.nan, math.nan, math.nan, math.nan, 0)
    cost, budget = np.array(pairs, float).T
    gap = (cost - budget) / budget
    over = cost > (1 + TOLERANCE) * budget
    return Adherence(
        float(gap.mean()), float(np.abs(gap).mean()), float(over.mean()), float((cost / budget).mean()), len(pairs)
    )
