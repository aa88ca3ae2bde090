"""Find parameters that have an effect only for certain values of others, and choices that mean the same.

A Config declares this with `tunable(…, when={"other": (values, …)})`. The table below declares it for built-in methods,
whose files are pinned by digests and therefore change only when their numbers may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import UserError

When = dict[str, tuple[Any, ...]]  # other field → its values for which a field has an effect

BUILT_IN: dict[str, dict[str, When]] = {
    "jeidnn": {
        "epochs": {"solver": ("sgd",)},
        "lr": {"solver": ("sgd",)},
        "gate_data": {"solver": ("newton",)},
    },
    "pcee": {"bins": {"smoothing": ("bins",)}},
}


def conditions(config: Any, name: str) -> dict[str, When]:
    """Return field → condition of its effect, for the fields of a plugin's Config that have one.

    Raises UserError if a condition names a field that the Config does not have.
    """
    fields = {f.name: f for f in dataclasses.fields(config)}
    own = {n: f.metadata["tune"]["when"] for n, f in fields.items() if f.metadata.get("tune", {}).get("when")}
    found = {**BUILT_IN.get(name, {}), **own}
    for field, when in found.items():
        for other in when:
            if other not in fields:
                raise UserError(
                    f"Parameter '{field}' of '{name}' depends on '{other}', which is not one of its parameters."
                )
    return found


def meaning(config: Any, name: str, value: Any) -> Any:
    """Return the effective value of a field: the preset's value if None means 'as in the preset'."""
    if value is None and getattr(config, name) is None and callable(getattr(config, "option", None)):
        try:
            return config.option(name)
        except KeyError:
            return None
    return value


def distinct(config: Any, name: str, choices: Sequence[Any]) -> list[Any]:
    """Return the choices of a field without those that mean the same as its current value."""
    now = getattr(config, name)
    return [c for c in choices if c == now or meaning(config, name, c) != meaning(config, name, now)]


def within(config: Any, when: Mapping[str, Sequence[Any]], searched: Mapping[str, Sequence[Any]]) -> When | None:
    """Return the part of a condition that depends on the search: searched field → its values that fulfil it.

    searched: the choices of the searched fields. None if a field that is not searched violates the condition.
    """
    found: When = {}
    for other, wanted in when.items():
        if other in searched:
            found[other] = tuple(c for c in searched[other] if meaning(config, other, c) in wanted)
        elif meaning(config, other, getattr(config, other)) not in wanted:
            return None
    return found
