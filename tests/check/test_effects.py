"""Parameters that do something only under others, only on deep networks, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from bench.check.parameters import effects
from bench.check.result import Violation
from bench.check.subject import Subject
from bench.plugins.params import tunable
from tests.helpers.good_method import Good


@dataclass(frozen=True)
class KindConfig:
    kind: Literal["even", "sharp"] = "even"
    x: float = tunable(1.0, 0.1, 3.0, when={"kind": ("sharp",)})


class Conditional(Good):
    """Sharpen the logits by x if the kind says so."""

    Config: ClassVar[type] = KindConfig

    def sharpness(self):
        return self.config.x if self.config.kind == "sharp" else 1.0


def test_a_parameter_is_tried_where_it_acts():
    assert effects(Subject(Conditional)) == "1 tunable, each changes a policy"


@dataclass(frozen=True)
class ChoiceConfig:
    mode: Literal["a", "b", "c"] = tunable("a")
    x: float = tunable(1.0, 0.5, 2.0)

    def __post_init__(self) -> None:
        if self.x == 2.0:
            raise ValueError("x=2 is too much")


class Choosy(Good):
    """Sharpen by mode c alone, and by x."""

    Config: ClassVar[type] = ChoiceConfig

    def sharpness(self):
        return self.config.x * (5.0 if self.config.mode == "c" else 1.0)


class Deaf(Choosy):
    """Take no mode seriously."""

    def sharpness(self):
        return self.config.x


def test_one_choice_that_acts_is_enough_and_refused_values_are_left_out():
    assert effects(Subject(Choosy)) == "2 tunable, each changes a policy"
    with pytest.raises(
        Violation, match=r"ChoiceConfig.mode is tunable but has no effect: .* b, c give the same policies as a\."
    ):
        effects(Subject(Deaf))


@dataclass(frozen=True)
class DepthConfig:
    x: float = tunable(1.0, 0.1, 3.0)


class Deep(Good):
    """Sharpen by x on deep networks alone."""

    Config: ClassVar[type] = DepthConfig
    depth = 4

    def fit(self, task, budgets):
        self.depth = task.num_exits
        return super().fit(task, budgets)

    def sharpness(self):
        return self.config.x if self.depth > 4 else 1.0


def test_a_parameter_that_matters_to_deep_networks_alone_counts():
    assert effects(Subject(Deep)) == "1 tunable, each changes a policy"
