"""A method that holds the contract, and others that break it in one way each."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.budgets import global_thresholds, threshold_exits
from bench.exits import mean_cost
from bench.method import Infeasible, Method, Policy, Task
from bench.params import tunable
from bench.rules import HeadsPolicy, max_probability, rule_fractions, too_small


@dataclass(frozen=True)
class GoodConfig:
    """One field that a search may vary."""

    sharpness: float = tunable(1.0, 0.1, 10.0, log=True)


class GoodPolicy(HeadsPolicy):
    """Leave where the largest probability is at least t."""

    def __init__(self, fitted, exits: int, classes: int, threshold: float) -> None:
        super().__init__(fitted, exits)
        self.classes, self.threshold = classes, threshold

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return max_probability(logits[:, k]) >= self.threshold

    def gate_macs(self, k: int) -> int:
        return self.classes


class Good(Method):
    """Hold the contract in every respect."""

    name: ClassVar[str] = "good"
    Config: ClassVar[type] = GoodConfig
    Policy: ClassVar[type] = GoodPolicy

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        fitted = heads.fit("plain", task)
        scores = max_probability(fitted.logits(task.val)[:, :-1])
        costs = rule_fractions(task, fitted, lambda k: task.num_classes)
        thresholds = global_thresholds(scores, costs, budgets)
        spent = mean_cost(threshold_exits(scores, thresholds[:, None].expand(-1, task.num_exits)), costs)
        return [
            self.policy(task, fitted, float(t)) if cost <= b else too_small(b, float(costs[0]))
            for b, t, cost in zip(budgets, thresholds, spent, strict=True)
        ]

    def policy(self, task: Task, fitted, threshold: float) -> Policy:
        return self.Policy(fitted, task.num_exits, task.num_classes, threshold)


EXPECTED: dict[type[Method], set[str]] = {}  # method -> the checks that it must fail


def fails(*names: str) -> Callable[[type[Method]], type[Method]]:
    """Register a method with the checks that it must fail; all that do not build on them it must pass."""

    def register(cls: type[Method]) -> type[Method]:
        EXPECTED[cls] = set(names)
        return cls

    return register


@fails("name")
class Undocumented(Good):
    pass


@fails("name")
class Nameless(Good):
    """Have no name."""

    name: ClassVar[str] = ""


@dataclass
class ThawedConfig:
    sharpness: float = 1.0


@fails("config")
class Thawed(Good):
    """Have a Config that can be changed."""

    Config: ClassVar[type] = ThawedConfig


@dataclass(frozen=True)
class DemandingConfig:
    sharpness: float


@fails("config")
class Demanding(Good):
    """Have a Config without a default."""

    Config: ClassVar[type] = DemandingConfig


@dataclass(frozen=True)
class WordyConfig:
    sharpness: int = "much"  # type: ignore[assignment]


@fails("config")
class Wordy(Good):
    """Have a default of another type than annotated."""

    Config: ClassVar[type] = WordyConfig


@dataclass(frozen=True)
class ListedConfig:
    steps: list = dataclasses.field(default_factory=list)


@fails("config")
class Listed(Good):
    """Have a Config that cannot be hashed."""

    Config: ClassVar[type] = ListedConfig


def with_range(default, *limits, **log) -> type:
    """Return a Config with one tunable number."""
    field = tunable(default, *limits, **log)
    cls = dataclasses.make_dataclass("RangedConfig", [("x", type(default), field)], frozen=True)
    cls.__module__ = __name__
    return cls


RANGES = {
    "below": with_range(1.0, 2.0, 1.0),
    "outside": with_range(3.0, 1.0, 2.0),
    "log": with_range(1.0, 0.0, 2.0, log=True),
    "missing": with_range(1.0),
    "half": with_range(1.0, 0.5),
    "fractions": with_range(1, 0.5, 2.0),
}


@dataclass(frozen=True)
class PickyConfig:
    x: float = tunable(1.0, 0.0, 2.0)

    def __post_init__(self) -> None:
        if self.x == 0:
            raise ValueError("x=0 divides by zero")


@fails("ranges")
class Picky(Good):
    """Refuse an end of its own range."""

    Config: ClassVar[type] = PickyConfig


@fails("fit")
class Raising(Good):
    """Raise Infeasible."""

    def fit(self, task, budgets):
        raise Infeasible("cannot be met")


@fails("fit")
class Crashing(Good):
    """Raise something else."""

    def fit(self, task, budgets):
        return [1 / 0]


@fails("fit")
class Short(Good):
    """Forget a budget."""

    def fit(self, task, budgets):
        return super().fit(task, budgets)[1:]


@fails("fit")
class Lazy(Good):
    """Return a generator."""

    def fit(self, task, budgets):
        return (p for p in super().fit(task, budgets))


@fails("fit")
class Foreign(Good):
    """Return None for what cannot be met."""

    def fit(self, task, budgets):
        return [None if isinstance(p, Infeasible) else p for p in super().fit(task, budgets)]


@fails("fit")
class Refusing(Good):
    """Meet no budget at all."""

    def fit(self, task, budgets):
        return [Infeasible("too small") for _ in budgets]


class ScoringPolicy(GoodPolicy):
    def leave(self, k, logits):
        return max_probability(logits[:, k])


@fails("shapes")
class Scoring(Good):
    """Return scores from leave."""

    Policy = ScoringPolicy


class SqueezedPolicy(GoodPolicy):
    def leave(self, k, logits):
        return super().leave(k, logits).squeeze()


@fails("shapes")
class Squeezed(Good):
    """Lose the batch axis of a single sample."""

    Policy = SqueezedPolicy


class WidePolicy(GoodPolicy):
    def combine(self, k, logits):
        return logits


@fails("shapes")
class Wide(Good):
    """Answer with all exits at once."""

    Policy = WidePolicy


class NaNPolicy(GoodPolicy):
    def combine(self, k, logits):
        return logits[:, k] / 0


@fails("shapes")
class NaN(Good):
    """Answer with infinities."""

    Policy = NaNPolicy


class FractionPolicy(GoodPolicy):
    def macs(self, k):
        return float(super().macs(k))


@fails("shapes")
class Fraction(Good):
    """Count MACs in floats."""

    Policy = FractionPolicy


class DicePolicy(GoodPolicy):
    def leave(self, k, logits):
        return super().leave(k, logits) | (torch.rand(len(logits)) < 0.5)


@fails("replay", "refit", "own_budget", "causality", "no_labels", "row_order", "batch_size", "execution", "pickle")
class Dice(Good):
    """Draw random numbers while playing."""

    Policy = DicePolicy


@fails("refit", "own_budget")
class Unseeded(Good):
    """Draw random numbers of the global state while fitting."""

    def policy(self, task, fitted, threshold):
        return super().policy(task, fitted, threshold * (1 - 0.2 * random.random()))


@fails("refit")
class Greedy(Good):
    """Spend what is left of something shared at every further fit of a task."""

    def policy(self, task, fitted, threshold):
        used = task.memo["used"] = task.memo.get("used", 0) + 1
        return super().policy(task, fitted, threshold * (1.0 if used <= 6 else 0.7))


@fails("own_budget")
class Social(Good):
    """Let thresholds depend on how many budgets are asked for."""

    def fit(self, task, budgets):
        self.asked = len(budgets)
        return super().fit(task, budgets)

    def policy(self, task, fitted, threshold):
        return super().policy(task, fitted, threshold * (0.8 if self.asked == 1 else 1.0))


@fails(
    "budgets", "one_class", "absent_classes", "one_exit", "two_samples", "ties", "constant_features", "saturated_logits"
)
class Spender(Good):
    """Run to the end whatever the budget."""

    def fit(self, task, budgets):
        return [self.policy(task, heads.fit("plain", task), 2.0) for _ in budgets]


@fails("budgets")
class Moody(Good):
    """Refuse a budget though a smaller one can be met."""

    def fit(self, task, budgets):
        return [Infeasible("no") if b == 0.9 else p for b, p in zip(budgets, super().fit(task, budgets), strict=True)]


class ModestPolicy(GoodPolicy):
    def macs(self, k):
        return 0


@fails("costs")
class Modest(Good):
    """Count neither heads nor gates."""

    Policy = ModestPolicy


class MachinePolicy(GoodPolicy):
    def leave(self, k, logits):
        machine = torch.eye(logits.shape[-1], dtype=logits.dtype).repeat(1, 50)
        return super().leave(k, logits) | ((logits[:, k] @ machine).sum(-1) > 1e30)


@fails("costs")
class Machine(Good):
    """Count the heads but not a gate of 50 layers' width."""

    Policy = MachinePolicy


class SeerPolicy(GoodPolicy):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.seen: dict[int, Tensor] = {}

    def head(self, k, features, previous):
        self.seen = {} if k == 0 else self.seen
        self.seen[k] = super().head(k, features, previous)
        return self.seen[k]

    def leave(self, k, logits):
        known = super().leave(k, logits)
        return known | (self.seen[k + 1][:, 0] < 0) if k + 1 in self.seen else known


@fails("causality")
class Seer(Good):
    """Look at the next exit's logits where they are lying about."""

    Policy = SeerPolicy


class HolderPolicy(GoodPolicy):
    def hold(self, labels: Tensor) -> Policy:
        self.labels, self.mean = labels, labels.double().mean()
        return self

    def leave(self, k, logits):
        return super().leave(k, logits) & (self.labels.double().mean() == self.mean)


@fails("no_labels")
class Holder(Good):
    """Keep the task's labels in the policy."""

    Policy = HolderPolicy

    def policy(self, task, fitted, threshold):
        return super().policy(task, fitted, threshold).hold(task.val.labels)


@fails("untouched")
class Clipper(Good):
    """Clip val in place."""

    def fit(self, task, budgets):
        task.val.final_logits.clamp_(-2, 2)
        return super().fit(task, budgets)


class HastyPolicy(GoodPolicy):
    def head(self, k, features, previous):
        answer = super().head(k, features, previous).clone()
        features.clamp_(-1, 1)
        return answer


@fails("untouched", "execution")
class Hasty(Good):
    """Change features in place while playing."""

    Policy = HastyPolicy


@fails("untouched")
class Sharer(Good):
    """Sharpen the shared heads in place, once per task."""

    def fit(self, task, budgets):
        fitted = heads.fit("plain", task)
        if task.memo.setdefault("sharpened", 0) == 0:
            for layer in fitted.layers:
                layer.weight.data.mul_(1.5)
                layer.bias.data.mul_(1.5)
            task.memo["sharpened"] = 1
        return super().fit(task, budgets)


class OrderedPolicy(GoodPolicy):
    def leave(self, k, logits):
        odd = torch.arange(len(logits)) % 2 == 1
        return super().leave(k, logits) | (odd if len(logits) == 120 else False)


@fails("row_order")
class Ordered(Good):
    """Decide by the position in the batch, though only in batches of one size."""

    Policy = OrderedPolicy


class MedianPolicy(GoodPolicy):
    def leave(self, k, logits):
        p = max_probability(logits[:, k])
        return (p >= self.threshold) & ((p >= p.quantile(0.3)) if len(p) in (7, 64) else True)


@fails("batch_size")
class Median(Good):
    """Compare with the median of the batch."""

    Policy = MedianPolicy


class StalePolicy(GoodPolicy):
    def leave(self, k, logits):
        if k == 0:
            self.first = max_probability(logits[:, 0])
        return super().leave(k, logits) | (self.first[: len(logits)] >= 0.6)


@fails("execution")
class Stale(Good):
    """Remember exit 0 in the policy and forget who left."""

    Policy = StalePolicy


HARD: dict[str, Callable[[Task], bool]] = {
    "one_class": lambda task: task.num_classes == 1,
    "absent_classes": lambda task: task.num_classes > 1 and len(task.val) > 2 and len(task.val.labels.unique()) == 1,
    "one_exit": lambda task: task.num_exits == 1,
    "two_samples": lambda task: len(task.train) == 2,
    "ties": lambda task: len(task.val) > 2 and len(task.val.final_logits.unique(dim=0)) == 4,
    "constant_features": lambda task: task.num_exits > 1 and len(task.val.features[0].unique()) == 1,
    "saturated_logits": lambda task: float(task.val.final_logits.abs().max()) >= 1e4,
}


class Fragile(Good):
    """Crash on one kind of task."""

    on = ""

    def fit(self, task, budgets):
        if HARD[self.on](task):
            raise ValueError("singular matrix")
        return super().fit(task, budgets)


class VaguePolicy(GoodPolicy):
    def combine(self, k, logits):
        answer = logits[:, k]
        return torch.where(answer.abs() > 1e3, torch.nan, answer)


@fails("saturated_logits")
class Vague(Good):
    """Answer NaN where logits are large."""

    Policy = VaguePolicy


class ClosurePolicy(GoodPolicy):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.rule = lambda p: p >= self.threshold

    def leave(self, k, logits):
        return self.rule(max_probability(logits[:, k]))


@fails("pickle")
class Closure(Good):
    """Store a lambda in the policy."""

    Policy = ClosurePolicy


class LosingPolicy(GoodPolicy):
    def __getstate__(self):
        return {**self.__dict__, "threshold": 0.5}


@fails("pickle")
class Losing(Good):
    """Lose the threshold in pickle."""

    Policy = LosingPolicy
