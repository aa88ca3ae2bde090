"""A method that holds the contract, and the register of those that break it in one way each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench import heads
from bench.budgets import global_thresholds, threshold_exits
from bench.exits import mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import HeadsPolicy, max_probability, rule_fractions, too_small


@dataclass(frozen=True)
class GoodConfig:
    """One field that a search may vary."""

    sharpness: float = tunable(1.0, 0.1, 10.0, log=True)


class GoodPolicy(HeadsPolicy):
    """Leave where the largest probability is at least t, of logits multiplied by `sharpness`."""

    sharpness = 1.0

    def __init__(self, fitted, exits: int, classes: int, threshold: float) -> None:
        super().__init__(fitted, exits)
        self.classes, self.threshold = classes, threshold

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return max_probability(self.sharpness * logits[:, k]) >= self.threshold

    def gate_macs(self, k: int) -> int:
        return self.classes


class Good(Method):
    """Hold the contract in every respect."""

    name: ClassVar[str] = "good"
    fidelity: ClassVar[Fidelity | None] = Fidelity(
        "Good", "somebody", "nowhere", 2026, "https://example.org", "confidence", "from the paper", "all of it"
    )
    Config: ClassVar[type] = GoodConfig
    Policy: ClassVar[type] = GoodPolicy

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        fitted = heads.fit("plain", task)
        scores = max_probability(self.sharpness() * fitted.logits(task.val)[:, :-1])
        costs = rule_fractions(task, fitted, lambda k: task.num_classes)
        thresholds = global_thresholds(scores, costs, budgets)
        spent = mean_cost(threshold_exits(scores, thresholds[:, None].expand(-1, task.num_exits)), costs)
        return [
            self.policy(task, fitted, float(t)) if cost <= b else too_small(b, float(costs[0]))
            for b, t, cost in zip(budgets, thresholds, spent, strict=True)
        ]

    def policy(self, task: Task, fitted, threshold: float) -> Policy:
        policy = self.Policy(fitted, task.num_exits, task.num_classes, threshold)
        policy.sharpness = self.sharpness()
        return policy

    def sharpness(self) -> float:
        """What the Config says, if it is one of those that say it."""
        return getattr(self.config, "sharpness", 1.0)


EXPECTED: dict[type[Method], set[str]] = {}  # method -> the checks that it must fail


def fails(*names: str) -> Callable[[type[Method]], type[Method]]:
    """Register a method with the checks that it must fail; all that do not build on them it must pass."""

    def register(cls: type[Method]) -> type[Method]:
        EXPECTED[cls] = set(names)
        return cls

    return register
