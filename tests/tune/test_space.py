from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field

from bench.errors import UserError
from bench.method import Method
from bench.plugins.params import tunable
from bench.trials.plan import load_methods
from bench.tune.space import configured, space_of
from bench.tune.study import described, distributions_of


@dataclass(frozen=True)
class Config:
    rate: float = tunable(0.1, 0.01, 1.0, log=True)
    depth: Annotated[int, Field(ge=1)] = tunable(3, 1, 9)
    kind: Literal["a", "b"] | None = tunable(None)
    flag: bool = tunable(True)
    fixed: float = 2.0

    def __post_init__(self) -> None:
        if self.kind == "b" and self.flag:
            raise ValueError("kind=b needs flag=False")


class Made(Method):
    name: ClassVar[str] = "made"
    Config: ClassVar[type] = Config

    def fit(self, task, budgets):
        return []


def test_every_kind_of_field_becomes_a_distribution():
    space = space_of(Made())
    assert space.distributions == {
        "rate": FloatDistribution(0.01, 1.0, log=True),
        "depth": IntDistribution(1, 9),
        "kind": CategoricalDistribution(("a", "b", None)),
        "flag": CategoricalDistribution((False, True)),
    }
    assert space.defaults == {"rate": 0.1, "depth": 3, "kind": None, "flag": True}


def test_a_description_gives_its_distributions_back():
    space = space_of(Made())
    assert distributions_of(described(space.distributions)) == space.distributions


def test_what_the_user_set_is_not_searched():
    space = space_of(Made(Config(rate=0.5)))
    assert list(space.distributions) == ["depth", "kind", "flag"]


@pytest.mark.parametrize(
    "field", [tunable(0.1), tunable(0.1, 1.0, 0.5), tunable(5.0, 0.1, 1.0), tunable(0.5, 0, 1, log=True)]
)
def test_a_range_that_is_none_is_a_sentence(field):
    made = type(
        "Bad", (Made,), {"Config": dataclass(frozen=True)(type("C", (), {"x": field, "__annotations__": {"x": float}}))}
    )
    with pytest.raises(UserError, match="'x' of 'made' is not valid"):
        space_of(made())


def test_floats_are_rounded_within_their_range():
    space = space_of(Made())
    assert space.rounded({"rate": 0.0123456, "depth": 4, "kind": "a"}) == {"rate": 0.0123, "depth": 4, "kind": "a"}
    narrow = type(space)({"x": FloatDistribution(0.12345, 0.2)}, {"x": 0.15})
    assert narrow.rounded({"x": 0.12346}) == {"x": 0.12345}


def test_configured_leaves_the_rest_alone_and_refuses_what_the_config_refuses():
    method = configured(Made(Config(fixed=7.0)), {"rate": 0.5, "flag": False, "kind": "b"})
    assert method.config == Config(rate=0.5, flag=False, kind="b", fixed=7.0)
    with pytest.raises(ValueError, match="needs flag=False"):
        configured(Made(), {"kind": "b"})


def test_heads_that_are_the_method_are_searched_and_shared_ones_are_not():
    boosted, eero, none = load_methods(["boostednet", "eero", "entropy_thresh"])
    assert all(name.startswith("heads.") for name in space_of(boosted).distributions)
    assert list(space_of(eero).distributions) == ["beta"]
    assert not space_of(none)
    (on_boosted,) = load_methods(["eero[heads=boosted]"])
    assert list(space_of(on_boosted).distributions) == ["beta"]
    changed = configured(boosted, {"heads.rho": 0.25, "heads.lr": space_of(boosted).defaults["heads.lr"]})
    assert changed.config.heads == "boosted[rho=0.25]"
    same = configured(boosted, space_of(boosted).defaults)
    assert same.config == boosted.config


@dataclass(frozen=True)
class Hanging:
    kind: Literal["a", "b"] = tunable("a")
    rate: float = tunable(0.1, 0.01, 1.0, log=True, when={"kind": ("b",)})
    depth: int = tunable(3, 1, 9, when={"mode": ("deep",)})
    mode: Literal["flat", "deep"] = "flat"


class Hung(Made):
    name: ClassVar[str] = "hung"
    Config: ClassVar[type] = Hanging


def test_what_does_nothing_under_the_others_is_left_out():
    space = space_of(Hung())
    assert list(space.distributions) == ["kind", "rate"]  # mode is not searched, and flat
    assert space.when == {"rate": {"kind": ("b",)}}
    assert space.active({"kind": "a", "rate": 0.5}) == {"kind": "a"}
    assert space.active({"kind": "b", "rate": 0.5}) == {"kind": "b", "rate": 0.5}
    assert list(space_of(Hung(Hanging(mode="deep"))).distributions) == ["kind", "rate", "depth"]
    assert list(space_of(Hung(Hanging(kind="b"))).distributions) == ["rate"] and not space_of(Hung(Hanging("b"))).when


def test_a_condition_on_a_parameter_that_is_not_there_is_a_sentence():
    field = tunable(0.1, 0.01, 1.0, when={"king": ("b",)})
    config = dataclass(frozen=True)(type("C", (), {"x": field, "__annotations__": {"x": float}}))
    with pytest.raises(UserError, match="depends on 'king'"):
        space_of(type("Bad", (Made,), {"Config": config})())


def test_schedules_of_a_trainer_that_is_not_used_are_not_searched():
    usual, sgd, released = load_methods(["jeidnn", "jeidnn[solver=sgd]", "jeidnn[preset=released]"])
    assert list(space_of(usual).distributions) == ["objective", "cost", "pos_weight", "gate_data"]
    for method in (sgd, released):
        assert {"epochs", "lr"} <= set(space_of(method).distributions)
        assert "gate_data" not in space_of(method).distributions


def test_a_choice_that_says_what_the_preset_says_is_no_choice():
    usual, released = load_methods(["jeidnn", "jeidnn[preset=released]"])
    assert space_of(usual).describe()["cost"] == ["layers", None]  # None is macs
    assert "none" not in space_of(usual).describe()["pos_weight"]
    assert "released" not in space_of(released).describe()["pos_weight"]


def test_conditions_name_parameters_that_are_there():
    from bench.plugins.active import BUILT_IN, conditions
    from bench.plugins.params import configure
    from bench.plugins.registry import load
    from bench.plugins.spec import parse

    for name, found in BUILT_IN.items():
        config = configure(load("methods", name).Config, parse(name))
        assert set(found) <= {f.name for f in fields(config) if "tune" in f.metadata}
        assert conditions(config, name) == found
