"""Meet a budget between two operating points by mixing them at random, with a coin that every sample carries itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.exits import at_exits, mean_cost
from bench.method import Infeasible, Policy
from bench.rules.policies import HeadsPolicy, too_small


def coin(logits: Tensor, seed: int) -> Tensor:
    """Return a number in [0, 1) per sample [N], float64, from its first exit's logits [N, C] and a seed.

    It is the fractional part of a random projection of asinh(logits), whose spread is one or two whatever the scale of
    the logits: enough to be uniform, so little that logits which differ by the rounding of a float16 bank give almost
    the same coin. A policy that really stops early so decides what was simulated. A sample's coin is the same in any
    batch and any row order.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(logits.shape[-1], generator=generator, dtype=torch.float64)
    direction -= direction.mean()  # logits of two classes differ in sign alone, and a projection must not cancel them
    direction /= direction.norm().clamp_min(1e-12)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    return ((logits.double().asinh() * direction.to(logits.device)).sum(-1) + start.item()).remainder(1.0)


class Mixture(HeadsPolicy):
    """Use the `expensive` policy if a sample's coin is below `share`, else the `cheap` one; both share heads and MACs.

    The coin is counted once, at the first exit, with as many MACs as there are classes.
    """

    def __init__(self, cheap: HeadsPolicy, expensive: HeadsPolicy, share: float, seed: int, classes: int) -> None:
        super().__init__(expensive.heads, expensive.exits)
        self.cheap, self.expensive, self.share, self.seed, self.classes = cheap, expensive, share, seed, classes

    def leave(self, k: int, logits: Tensor) -> Tensor:
        lucky = coin(logits[:, 0], self.seed) < self.share
        return torch.where(lucky, self.expensive.leave(k, logits), self.cheap.leave(k, logits))

    def macs(self, k: int) -> int:
        return self.expensive.macs(k) + (self.classes if k == 0 else 0)


def upper_hull(cost: Tensor, value: Tensor) -> list[int]:
    """Return the points [P] on the upper concave hull of value over cost, by rising cost, up to the best value."""
    best: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (float(cost[i]), -float(value[i]), i)):
        if best and float(value[i]) <= float(value[best[-1]]):
            continue
        while len(best) > 1 and _slope(cost, value, best[-2], i) >= _slope(cost, value, best[-2], best[-1]):
            best.pop()
        best.append(i)
    return best


def _slope(cost: Tensor, value: Tensor, i: int, j: int) -> float:
    return float(value[j] - value[i]) / max(float(cost[j] - cost[i]), 1e-300)


def mixtures(
    policies: Sequence[HeadsPolicy],
    exits: Tensor,
    correct: Tensor,
    first_logits: Tensor,
    costs: Tensor,
    budgets: Sequence[float],
    seed: int,
    coin_cost: float,
) -> list[Policy | Infeasible]:
    """Return per budget the mixture of two neighbours on the hull of `policies` that spends the budget on val.

    exits [P, N]: where each policy's val samples leave; correct [N, K]: whether each exit is right; first_logits [N,
    C]: the answers of exit 0; costs [K] and coin_cost (of C MACs) in the unit of the budgets. Val decides which
    policies are on the hull; a budget beyond the most accurate policy gets that policy.
    """
    cost = mean_cost(exits, costs)
    value = at_exits(correct.double(), exits).mean(1)
    hull = upper_hull(cost, value)
    order = coin(first_logits, seed).sort()
    return [
        _meet(b, policies, exits, costs, cost, hull, order, seed, first_logits.shape[-1], coin_cost) for b in budgets
    ]


def _meet(
    budget: float,
    policies: Sequence[HeadsPolicy],
    exits: Tensor,
    costs: Tensor,
    cost: Tensor,
    hull: Sequence[int],
    order: torch.return_types.sort,
    seed: int,
    classes: int,
    coin_cost: float,
) -> Policy | Infeasible:
    within = [i for i in hull if float(cost[i]) <= budget]
    if not within:
        return too_small(budget, float(cost.min()))
    cheap = within[-1]
    if cheap == hull[-1]:
        return policies[cheap]
    expensive = hull[hull.index(cheap) + 1]
    each = costs.double()
    more = (each[exits[expensive]] - each[exits[cheap]])[order.indices].cumsum(0) / exits.shape[1]
    spent = (
        float(cost[cheap]) + coin_cost + torch.cat([more.new_zeros(1), more])
    )  # with the n luckiest samples on the expensive policy
    bounds = torch.cat([order.values, order.values.new_ones(1)])  # coin < bounds[n] takes those n, if no tie straddles
    clean = torch.cat([bounds.new_ones(1, dtype=torch.bool), bounds[1:] > bounds[:-1]])
    fits = torch.nonzero((spent <= budget) & clean).flatten()
    n = int(fits[spent[fits].argmax()]) if len(fits) else 0
    return Mixture(policies[cheap], policies[expensive], float(bounds[n]), seed, classes) if n else policies[cheap]
