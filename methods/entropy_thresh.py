"""Entropy threshold (Teerapittayanon et al., BranchyNet, ICPR 2016; Xin et al., DeeBERT, ACL 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import budgets as solve
from bench import heads
from bench.exits import mean_cost
from bench.method import Infeasible, Method, Policy, Task
from bench.rules import ThresholdPolicy, exit_fractions, negative_entropy, too_small


@dataclass(frozen=True)
class EntropyConfig:
    """Which heads."""

    heads: str = "plain"


class EntropyThreshold(Method):
    """One entropy threshold for all exits: leave at the first exit whose entropy is at most t (BranchyNet, DeeBERT).

    Entropy in nats, as DeeBERT. The originals screen t over a grid; here the largest budget-respecting t is found by
    bisection over the values that occur on val.
    """

    name: ClassVar[str] = "entropy_thresh"
    Config: ClassVar[type] = EntropyConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold of largest val cost within it."""
        fitted = heads.fit(self.config.heads, task)
        gate_macs = 2 * task.num_classes  # p·ln p and its sum
        gates = task.num_exits - 1
        costs = exit_fractions(task, lambda k: fitted.macs(k) + gate_macs * (k < gates))
        confidence = negative_entropy(fitted.logits(task.val))
        thresholds = solve.global_thresholds(confidence[:, :gates], costs.to(confidence.device), budgets)
        rows = thresholds[:, None].expand(-1, task.num_exits)
        realised = mean_cost(solve.threshold_exits(confidence, rows), costs.to(confidence.device))
        return [
            ThresholdPolicy(fitted, negative_entropy, row, gate_macs) if cost <= b else too_small(b, float(costs[0]))
            for b, row, cost in zip(budgets, rows, realised, strict=True)
        ]
