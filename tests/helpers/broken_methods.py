"""Methods whose name, parameters, fit or answers break the contract in one way each."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import ClassVar

import torch

from bench import heads
from bench.method import Fidelity, Infeasible
from bench.plugins.params import tunable
from bench.rules import max_probability
from tests.helpers.good_method import Good, GoodPolicy, fails


@fails("name")
class Undocumented(Good):
    pass


@fails("name")
class Nameless(Good):
    """Have no name."""

    name: ClassVar[str] = ""


@fails("fidelity")
class Orphan(Good):
    """Do not say where it comes from."""

    fidelity: ClassVar[Fidelity | None] = None


@fails("fidelity")
class Unlinked(Good):
    """Follow a paper without a link."""

    fidelity: ClassVar[Fidelity | None] = dataclasses.replace(Good.fidelity, link="")


@fails("fidelity")
class Vague(Good):
    """Give a basis that is not one of the four."""

    fidelity: ClassVar[Fidelity | None] = dataclasses.replace(Good.fidelity, basis="faithful")


@fails("fidelity")
class Silent(Good):
    """Do not say what was compared."""

    fidelity: ClassVar[Fidelity | None] = dataclasses.replace(Good.fidelity, detail=" ")


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


@dataclass(frozen=True)
class DeadConfig:
    sharpness: float = tunable(1.0, 0.1, 10.0, log=True)
    flatness: float = tunable(1.0, 0.1, 10.0, log=True)


@fails("effects")
class Dead(Good):
    """Declare a parameter that does nothing."""

    Config: ClassVar[type] = DeadConfig


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
        used = task.shared_cache["used"] = task.shared_cache.get("used", 0) + 1
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
    *("budgets", "one_class", "absent_classes", "one_exit", "two_samples", "ties", "constant_features"),
    *("saturated_logits", "effects"),
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
