"""Parameters that do something only under certain values of others, and choices that say the same thing twice.

A Config says so itself with `tunable(…, when={"other": (values, …)})`. The table below says it for methods of this
project, whose files are part of what names their records and therefore change only when their numbers may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import UserError

When = dict[str, tuple[Any, ...]]  # other field → the values of it under which a field does something

BUILT_IN: dict[str, dict[str, When]] = {
    "jeidnn": {
        "epochs": {"solver": ("sgd",)},
        "lr": {"solver": ("sgd",)},
        "gate_data": {"solver": ("newton",)},
    },
    "pcee": {"bins": {"smoothing": ("bins",)}},
}


def conditions(config: Any, name: str) -> dict[str, When]:
    """Return field → when it does something, for those fields of a plugin's Config that do not always.

    Raises UserError if a condition names a field that the Config does not have.
    """
    fields = {f.name: f for f in dataclasses.fields(config)}
    own = {n: f.metadata["tune"]["when"] for n, f in fields.items() if f.metadata.get("tune", {}).get("when")}
    found = {**BUILT_IN.get(name, {}), **own}
    for field, when in found.items():
        for other in when:
            if other not in fields:
                raise UserError(
                    f"Parameter '{field}' of '{name}' depends on '{other}', which is not a parameter of it."
                )
    return found


def meaning(config: Any, name: str, value: Any) -> Any:
    """Return what a value of a field stands for: if None means 'as the preset has it', what the preset has."""
    if value is None and getattr(config, name) is None and callable(getattr(config, "option", None)):
        try:
            return config.option(name)
        except KeyError:
            return None
    return value


def distinct(config: Any, name: str, choices: Sequence[Any]) -> list[Any]:
    """Return the choices of a field without those that mean the same as its present value."""
    now = getattr(config, name)
    return [c for c in choices if c == now or meaning(config, name, c) != meaning(config, name, now)]


def within(config: Any, when: Mapping[str, Sequence[Any]], searched: Mapping[str, Sequence[Any]]) -> When | None:
    """Return what of a condition hangs on the search: searched field → its values that fulfil it.

    searched: the choices of the searched fields. None if a field that is not searched rules it out.
    """
    found: When = {}
    for other, wanted in when.items():
        if other in searched:
            found[other] = tuple(c for c in searched[other] if meaning(config, other, c) in wanted)
        elif meaning(config, other, getattr(config, other)) not in wanted:
            return None
    return found
