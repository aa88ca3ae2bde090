"""Exit rules on given heads: policies that use a confidence score, and the thresholds that meet a budget on val."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench import budgets as solve
from bench.exits import mean_cost
from bench.method import Infeasible, Policy, Task
from bench.recipe import Heads
from bench.rules.scores import Score


class HeadsPolicy(Policy):
    """A policy on the fitted heads of a recipe for K exits; a subclass decides where samples leave and counts gates."""

    def __init__(self, heads: Heads, exits: int) -> None:
        super().__init__()
        self.heads, self.exits = heads, exits

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.heads(k, features, previous)

    def combine(self, k: int, logits: Tensor) -> Tensor:
        return self.heads.combine(k, logits)

    def gate_macs(self, k: int) -> int:
        """Count the multiply-accumulates per sample of the decision at exit k < K-1."""
        return 0

    def macs(self, k: int) -> int:
        return self.heads.macs(k) + (self.gate_macs(k) if k < self.exits - 1 else 0)


def shared_heads(policy: Policy) -> Heads | None:
    """Return the heads whose answers are the policy's own, independent of its decisions; None if it changes them."""
    if not isinstance(policy, HeadsPolicy):
        return None
    kind = type(policy)
    return policy.heads if kind.head is HeadsPolicy.head and kind.combine is HeadsPolicy.combine else None


class ThresholdPolicy(HeadsPolicy):
    """Leave at exit k when the score there is at least thresholds[k]; the last exit's threshold is not used."""

    thresholds: Tensor

    def __init__(self, heads: Heads, score: Score, thresholds: Tensor, classes: int) -> None:
        super().__init__(heads, len(thresholds))
        self.score, self.classes = score, classes
        self.register_buffer("thresholds", thresholds.to(torch.float64))

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return self.score(k, logits) >= self.thresholds[k]

    def gate_macs(self, k: int) -> int:
        return self.score.macs(k, self.classes)


def exit_fractions(task: Task, added: Callable[[int], int]) -> Tensor:
    """Return the cost [K] of leaving at each exit as a fraction of the plain backbone; exit k adds `added(k)` MACs."""
    extra = torch.tensor([added(k) for k in range(task.num_exits)], dtype=torch.float64).cumsum(0)
    return ((torch.tensor(task.macs, dtype=torch.float64) + extra) / task.macs[-1]).to(task.device)


def rule_fractions(task: Task, heads: Heads, gate_macs: Callable[[int], int]) -> Tensor:
    """Return the cost [K] of leaving at each exit, as a fraction: these heads, and gates at all exits but the last."""
    return exit_fractions(task, lambda k: heads.macs(k) + (gate_macs(k) if k < task.num_exits - 1 else 0))


def one_threshold(task: Task, budgets: Sequence[float], heads: Heads, score: Score) -> list[Policy | Infeasible]:
    """Return per budget the policy with one threshold for all exits and the largest val cost that fits the budget."""
    costs = rule_fractions(task, heads, lambda k: score.macs(k, task.num_classes))
    scores = score.all(heads.logits(task.val))
    thresholds = solve.global_thresholds(scores, costs, budgets)
    rows = thresholds[:, None].expand(-1, task.num_exits)
    realised = mean_cost(solve.threshold_exits(scores, rows), costs)
    return [
        ThresholdPolicy(heads, score, row, task.num_classes) if cost <= b else too_small(b, float(costs[0]))
        for b, row, cost in zip(budgets, rows, realised, strict=True)
    ]


def many_thresholds(
    task: Task, budgets: Sequence[float], heads: Heads, score: Score, thresholds: Tensor
) -> list[Policy | Infeasible]:
    """Return per budget the row of per-exit thresholds [P, K] with the largest val cost that fits the budget."""
    costs = rule_fractions(task, heads, lambda k: score.macs(k, task.num_classes))
    exits = solve.threshold_exits(score.all(heads.logits(task.val)), thresholds)
    realised = mean_cost(exits, costs)
    return [
        too_small(b, float(realised.min()))
        if i is None
        else ThresholdPolicy(heads, score, thresholds[i], task.num_classes)
        for b, i in zip(budgets, solve.most_expensive_within(realised, budgets), strict=True)
    ]


def quota_policies(
    task: Task, budgets: Sequence[float], heads: Heads, score: Score, ratios: Tensor | None = None
) -> list[Policy | Infeasible]:
    """Return per budget the policy from geometric quotas with the largest val cost that fits the budget (MSDNet).

    ratios: the ratios to try; by default 257 log-spaced ones from 1/32 to 32 and the two extremes.
    """
    if ratios is None:
        extremes = torch.tensor([1e-30, 1e30], dtype=torch.float64)
        ratios = torch.cat([torch.logspace(-5, 5, 257, base=2, dtype=torch.float64), extremes])
    scores = score.all(heads.logits(task.val))
    confidence = torch.cat([scores, scores.new_zeros(len(scores), 1)], 1)  # the last exit's is not used
    quotas = solve.geometric_quotas(ratios, task.num_exits).to(task.device)
    return many_thresholds(task, budgets, heads, score, solve.quota_thresholds(confidence, quotas))


def too_small(budget: float, cheapest: float) -> Infeasible:
    """Return the Infeasible for a budget below the cheapest operating point of a method."""
    return Infeasible(f"budget {budget:g} is below the cheapest operating point, {cheapest:.4f} of the plain backbone")
