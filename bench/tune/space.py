"""A method's search space: the ranges that its Config declares with `bench.plugins.params.tunable`, for Optuna."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from bench.errors import UserError
from bench.method import Method
from bench.plugins import registry
from bench.plugins.active import When, conditions, distinct, within
from bench.plugins.params import choices, configure, kinds_of
from bench.plugins.spec import Spec, parse
from bench.tune.study import described

DIGITS = 3  # significant digits of a proposed float, so that labels stay readable
OWN_HEADS = "heads."  # prefix of parameters of a method's own head recipe


@dataclass(frozen=True)
class Space:
    """The parameters of one configured method that a search varies. `defaults` are its configured values."""

    distributions: dict[str, BaseDistribution]
    defaults: dict[str, Any]
    when: dict[str, When] = field(default_factory=dict)  # searched parameter → {other: values}, if it depends on others

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those parameters that have an effect under the values of the others."""
        found = dict(params)
        while idle := [
            n for n in found if any(found.get(o) not in values for o, values in self.when.get(n, {}).items())
        ]:
            for name in idle:
                del found[name]
        return found

    def __bool__(self) -> bool:
        return bool(self.distributions)

    def rounded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with floats rounded to three significant digits, within their range."""
        return {name: _rounded(self.distributions[name], value) for name, value in params.items()}

    def describe(self) -> dict[str, Any]:
        """Return the space as plain values: {low, high, log} or the list of choices."""
        return described(self.distributions)


def space_of(method: Method) -> Space:
    """Return the search space of a configured method, in the order of its fields; an empty one if it declares none.

    Parameters that the user set to a value other than their default are not searched, nor are those that cannot have
    an effect under the values that are not searched (`bench.plugins.active`). If the method's default head recipe is
    not `plain`, the heads are part of the method, and the recipe's ranges are added as `heads.<name>`.
    Raises UserError for an invalid range.
    """
    space = _space(method.config, method.name)
    recipe = _own_recipe(method)
    if recipe is not None:
        kind = registry.load("heads", recipe.name)
        own = _space(configure(kind.Config, recipe), recipe.name, OWN_HEADS)
        space = Space(space.distributions | own.distributions, space.defaults | own.defaults, space.when | own.when)
    return space


def configured(method: Method, params: Mapping[str, Any]) -> Method:
    """Return the method with these parameters of its space; raise ValueError if its Config rejects them."""
    changes = {name: value for name, value in params.items() if not name.startswith(OWN_HEADS)}
    heads = {name.removeprefix(OWN_HEADS): value for name, value in params.items() if name.startswith(OWN_HEADS)}
    if heads:
        base = parse(method.config.heads)
        recipe = registry.load("heads", base.name)
        usual = configure(recipe.Config, base)
        heads = {name: str(value) for name, value in heads.items() if getattr(usual, name) != value}
        try:
            configure(recipe.Config, Spec(base.name, None, {**base.params, **heads}))
        except UserError as error:
            raise ValueError(str(error)) from None
        if heads:
            changes["heads"] = str(Spec(base.name, None, {**base.params, **heads}))
    return type(method)(dataclasses.replace(method.config, **changes))


def _own_recipe(method: Method) -> Spec | None:
    usual, given = getattr(type(method).Config(), "heads", None), getattr(method.config, "heads", None)
    if not isinstance(usual, str) or not isinstance(given, str):
        return None
    return parse(given) if parse(usual).name == parse(given).name != "plain" else None


def _space(config: Any, owner: str, prefix: str = "") -> Space:
    found = _fields(config, owner)
    searched = {n: d.choices for n, (d, _) in found.items() if isinstance(d, CategoricalDistribution)}
    when = {}
    for name, condition in conditions(config, owner).items():
        rest = within(config, condition, searched)
        if rest is None:
            found.pop(name, None)
        elif rest and name in found:
            when[prefix + name] = {prefix + other: values for other, values in rest.items()}
    distributions = {prefix + n: d for n, (d, _) in found.items()}
    return Space(distributions, {prefix + n: value for n, (_, value) in found.items()}, when)


def _fields(config: Any, owner: str) -> dict[str, tuple[BaseDistribution, Any]]:
    hints = get_type_hints(type(config))
    usual = type(config)()
    found = {}
    for entry in dataclasses.fields(config):
        name, value = entry.name, getattr(config, entry.name)
        if "tune" not in entry.metadata or value != getattr(usual, name):
            continue
        distribution = _distribution(hints[name], entry.metadata["tune"])
        if distribution is None or not _holds(distribution, value):
            raise UserError(
                f"The search range of parameter '{name}' of '{owner}' is not valid: give low < high around its "
                f"default {value!r}, or make it a Literal or bool. `bench check` checks ranges."
            )
        if isinstance(distribution, CategoricalDistribution):
            left = distinct(config, name, distribution.choices)
            if len(left) < 2:
                continue
            distribution = CategoricalDistribution(left)
        found[name] = (distribution, value)
    return found


def _distribution(annotation: Any, tune: Mapping[str, Any]) -> BaseDistribution | None:
    kinds = kinds_of(annotation)
    low, high, log = tune.get("low"), tune.get("high"), bool(tune.get("log"))
    if low is None or high is None:
        found = choices(annotation)
        return CategoricalDistribution(tuple(found)) if len(found) > 1 else None
    if not low < high or (log and low <= 0):
        return None
    if int in kinds and float not in kinds:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return isinstance(value, int | float) and distribution.low <= value <= distribution.high  # type: ignore[attr-defined]


def _rounded(distribution: BaseDistribution, value: Any) -> Any:
    if not isinstance(distribution, FloatDistribution):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), distribution.low), distribution.high)
