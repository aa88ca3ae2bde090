"""Meet a budget between two operating points by mixing them at random, with a coin from each sample's own logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.exits import at_exits, first_true, mean_cost
from bench.method import Infeasible, Policy, Task
from bench.recipe import Heads
from bench.rules.policies import HeadsPolicy, ThresholdPolicy, rule_fractions, too_small
from bench.rules.scores import Score


def coin(logits: Tensor, seed: int) -> Tensor:
    """Return a number in [0, 1) per sample [N], float64, from its first exit's logits [N, C] and a seed.

    It is the fractional part of a random projection of asinh(logits), whose spread is one or two whatever the scale of
    the logits: enough to be uniform, and so little that logits which differ by the rounding of a float16 bank give
    almost the same coin. So a policy that really stops early decides as simulated. A sample's coin depends neither on
    its batch nor on the order of rows.
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
        return torch.where(self.lucky(logits[:, 0]), self.expensive.leave(k, logits), self.cheap.leave(k, logits))

    def lucky(self, first: Tensor) -> Tensor:
        """Return which samples use the expensive policy, bool [N], from the answers of exit 0 [N, C]."""
        return coin(first, self.seed) < self.share

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


def mixed_levels(
    task: Task,
    budgets: Sequence[float],
    heads: Heads,
    score: Score,
    levels: Tensor,
    unreachable: Callable[[int, float], str],
) -> list[Policy | Infeasible]:
    """Return per budget the level of a score with few values, or the mixture of two, that costs the budget on val.

    levels [L]: thresholds of the score, one for all exits. A budget below the cheapest level is infeasible; one above
    the most accurate level gets that level and a note, `unreachable` of its index and its cost.
    """
    logits = heads.logits(task.val)
    correct = logits.argmax(-1) == task.val.labels[:, None]
    left = first_true(score.all(logits) >= levels[:, None, None])
    costs = rule_fractions(task, heads, lambda k: score.macs(k, task.num_classes))
    rows = levels[:, None].expand(-1, task.num_exits)
    policies = [ThresholdPolicy(heads, score, row, task.num_classes) for row in rows]
    coin_cost = task.num_classes / task.macs[-1]
    found = mixtures(policies, left, correct, logits[:, 0], costs, budgets, task.seed, coin_cost)
    cost = mean_cost(left, costs).tolist()
    right = at_exits(correct, left).double().mean(1).tolist()
    best = max(range(len(rows)), key=lambda i: (right[i], -cost[i]))
    noted = ThresholdPolicy(heads, score, rows[best], task.num_classes)
    noted.note = f"unreachable: no {unreachable(best, cost[best])} is right more often on val"
    short = cost[best] < float(costs[-1])
    return [
        noted if p is policies[best] and short and cost[best] < b else p for p, b in zip(found, budgets, strict=True)
    ]


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
    """Return per budget the mixture of two neighbours on the hull of `policies` that costs the budget on val.

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
