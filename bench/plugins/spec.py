"""The syntax that selects a plugin, `name[param=value,…]` or `family:argument[param=value]`, and its checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from bench.errors import UserError, nearest

_SPEC = re.compile(r"(?P<name>[A-Za-z0-9_.\-]+)(?::(?P<argument>[^\[\]]+))?(?:\[(?P<params>.*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A registered name, the argument after its colon (a path, a hub name) and its parameters, all as text."""

    name: str
    argument: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        colon = f":{self.argument}" if self.argument else ""
        params = ",".join(f"{k}={v}" for k, v in sorted(self.params.items()))
        return f"{self.name}{colon}" + (f"[{params}]" if params else "")


def split_list(text: str) -> list[str]:
    """Split at the commas outside brackets: `a[x=1,y=2],b` gives `a[x=1,y=2]` and `b`."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "[") - (c == "]")
        if depth < 0:
            raise UserError(f"'{text}' has a ']' without a '['.")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise UserError(f"'{text}' has a '[' that is never closed.")
    return [p.strip() for p in [*parts, text[start:]] if p.strip()]


def parse(text: str) -> Spec:
    """Parse one spec; raise UserError if the text is not one."""
    match = _SPEC.fullmatch(text.strip())
    if not match:
        raise UserError(f"'{text}' is not a name. Write name, name[param=value,…] or family:argument.")
    params: dict[str, str] = {}
    for item in split_list(match["params"] or ""):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UserError(f"'{item}' in '{text}' is not a parameter. Write {match['name']}[param=value].")
        if key.strip() in params:
            raise UserError(f"Parameter '{key.strip()}' is given twice in '{text}'.")
        params[key.strip()] = value.strip()
    return Spec(match["name"], match["argument"], params)


def typed(owner: str, params: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameter texts to the annotated types of `fields` (name → annotation).

    Raises UserError with the nearest valid name for an unknown parameter, or what the type allows for a bad value.
    """
    from pydantic import TypeAdapter, ValidationError

    values = {}
    for key, text in params.items():
        if key not in fields:
            has = nearest(key, fields) if fields else f" {owner} takes no parameters."
            raise UserError(f"'{owner}' has no parameter '{key}'.{has}")
        adapter = TypeAdapter(fields[key])
        try:
            values[key] = adapter.validate_python(None if _means_none(text, fields[key]) else text)
        except ValidationError as error:
            detail = error.errors()[0]["msg"]
            raise UserError(f"'{text}' is not a valid value for parameter '{key}' of '{owner}': {detail}.") from None
    return values


def _means_none(text: str, annotation: Any) -> bool:
    """Return whether the text means None: the parameter may be None, and `none` is not one of its words."""
    parts = [annotation, *get_args(annotation)]
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return text == "none" and type(None) in parts and "none" not in words
