"""Convert the parameters that a user wrote to a plugin's frozen Config, and a Config to a label."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.errors import UserError
from bench.plugins.spec import Spec, typed


def configure(config: type, spec: Spec) -> Any:
    """Build the dataclass `config` from a spec; raise UserError for unknown or invalid parameters.

    A Config may check combinations in __post_init__: it raises ValueError with a sentence.
    """
    hints = get_type_hints(config)
    fields = {f.name: hints[f.name] for f in dataclasses.fields(config)}
    try:
        return config(**typed(spec.name, spec.params, fields))
    except ValueError as error:
        raise UserError(f"{spec}: {error}") from None


def changed(config: Any) -> dict[str, Any]:
    """Return the fields of a Config that differ from their defaults, in their declared order."""
    default = type(config)()
    return {
        f.name: getattr(config, f.name)
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != getattr(default, f.name)
    }


def label(name: str, config: Any) -> str:
    """Return the display name `name[param=value,…]`, with the parameters that differ from their defaults."""
    items = ",".join(f"{k}={v}" for k, v in changed(config).items())
    return f"{name}[{items}]" if items else name


def choices(annotation: Any) -> list[Any]:
    """Return the values of a field's type that can be listed: words of a Literal, booleans, None."""
    found: list[Any] = []
    for kind in kinds_of(annotation):
        if get_origin(kind) is Literal:
            found += get_args(kind)
        elif kind is bool:
            found += [False, True]
        elif kind is type(None):
            found.append(None)
    return list(dict.fromkeys(found))


def kinds_of(annotation: Any) -> list[Any]:
    """Return the members of a union type, without their Annotated metadata."""
    if get_origin(annotation) is Annotated:
        return kinds_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for arg in get_args(annotation) for part in kinds_of(arg)]
    return [annotation]


def tunable(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    log: bool = False,
    when: Mapping[str, Sequence[Any]] | None = None,
) -> Any:
    """Declare a Config field with the range for a search: numbers between low and high, or a Literal's values.

    Without a range the field's Literal or bool values are searched. Fields without `tunable` are left at their default.
    `when={"solver": ("sgd",)}` means that the field has an effect only if field `solver` has one of these values.
    """
    tune: dict[str, Any] = {"low": low, "high": high, "log": log}
    if when:
        tune["when"] = {name: tuple(values) for name, values in when.items()}
    return dataclasses.field(default=default, metadata={"tune": tune})
