"""A curve of operating points over a trade-off λ, and its refinement around cost budgets. Axes as in exits.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from bench.methods.jeidnn.gates import Gates, coins
from torch import Tensor

from bench.exits import by_rows, first_true, mean_cost, uncertainty_features
from bench.method import ExitData
from bench.recipe import Heads


@dataclass(frozen=True)
class Curve:
    """Operating points of one fit: λ [P], heads (one set, or one per λ), gates, and the mean cost on val [P]."""

    lam: Tensor
    heads: Sequence[Heads]
    gates: Gates
    cost: Tensor

    def head(self, point: int) -> Heads:
        """Return the heads of an operating point."""
        return self.heads[point if len(self.heads) > 1 else 0]


class LambdaGrid:
    """Operating points collected for several budgets.

    Every budget chooses among the coarse points and those refined for itself alone, so that an answer does not depend
    on the other budgets; answers are still monotone in the budget.
    """

    def __init__(self, coarse: Curve, budgets: Sequence[float]) -> None:
        self.curve, self.budgets, self.coarse = coarse, list(budgets), len(coarse.lam)
        self.own: list[list[int]] = [list(range(self.coarse)) for _ in budgets]

    def choose(self, budget: int) -> int | None:
        """Return the point with the largest cost within a budget (ties go to the smallest λ), None if all cost more."""
        within = [i for i in self.own[budget] if float(self.curve.cost[i]) <= self.budgets[budget]]
        return max(within, key=lambda i: (float(self.curve.cost[i]), -float(self.curve.lam[i])), default=None)

    def refinement(self, finer: int) -> tuple[Tensor, list[int]]:
        """Return new λ values between the neighbours around each budget, and the budget that each belongs to.

        Around budget b are neighbours in λ of which one costs more than b and the other at most b; of several such
        pairs the one with the most expensive cheaper point is used. `finer` values divide it evenly, in log λ if both
        are > 0; below λ = ∞ they go three decades further.
        """
        values: list[Tensor] = []
        budget_of: list[int] = []
        for b, budget in enumerate(self.budgets):
            order = sorted(self.own[b], key=lambda i: float(self.curve.lam[i]))
            pairs = [
                (i, j)
                for i, j in pairwise(order)
                if (float(self.curve.cost[i]) <= budget) != (float(self.curve.cost[j]) <= budget)
            ]
            if not pairs:
                continue
            low, high = max(pairs, key=self._cheaper)
            between = _between(float(self.curve.lam[low]), float(self.curve.lam[high]), finer)
            values.append(between)
            budget_of += [b] * len(between)
        return (torch.cat(values) if values else torch.empty(0, dtype=torch.float64)), budget_of

    def _cheaper(self, pair: tuple[int, int]) -> tuple[float, float]:
        cost = min(float(self.curve.cost[i]) for i in pair)
        return cost, -float(self.curve.lam[pair[0]])

    def add(self, curve: Curve, budget_of: Sequence[int]) -> None:
        """Add refined points, each for the budget in `budget_of`."""
        old = self.curve
        for i, b in enumerate(budget_of):
            self.own[b].append(len(old.lam) + i)
        heads = old.heads if len(old.heads) == 1 else [*old.heads, *curve.heads]
        self.curve = Curve(
            torch.cat([old.lam, curve.lam]),
            heads,
            Gates.cat([old.gates, curve.gates]),
            torch.cat([old.cost, curve.cost]),
        )


def val_cost(val: ExitData, fitted: Sequence[Heads], gates: Gates, costs: Tensor, draw: int | None = None) -> Tensor:
    """Return the mean cost [P] on val of gates for P operating points, on one set of heads or one per point."""
    each = len(gates) if len(fitted) == 1 else 1
    means = []
    for h, own in zip(fitted, gates.split(each), strict=True):
        answers = h.logits(val)
        features, drawn = by_rows(uncertainty_features, answers[:, :-1]), coins(answers, draw)
        means += [mean_cost(first_true(part.leave(features, drawn)), costs) for part in own.split(16)]
    return torch.cat(means).cpu()


def _between(low: float, high: float, count: int) -> Tensor:
    high = 1e3 * low if math.isinf(high) else high
    if low <= 0:
        return torch.linspace(low, high, count + 2, dtype=torch.float64)[1:-1]
    return torch.logspace(math.log10(low), math.log10(high), count + 2, dtype=torch.float64)[1:-1]
