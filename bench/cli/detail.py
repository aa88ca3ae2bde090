"""The parameters and the source of a plugin, as `bench list KIND NAME` prints them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any, Literal, Unpack, get_args, get_origin, get_type_hints

HARNESS = ("argument", "num_classes", "data_dir", "return")  # what the harness passes, not the user's brackets


def parameters(loaded: Any) -> list[dict[str, Any]]:
    """Return the parameters that a plugin takes: name, type, default, allowed and searched range (None: any)."""
    if isinstance(loaded, type):
        hints = get_type_hints(loaded.Config, include_extras=True)  # type: ignore[attr-defined]
        fields = dataclasses.fields(loaded.Config)  # type: ignore[attr-defined]
        return [_row(f.name, hints[f.name], _default(f), f.metadata.get("tune")) for f in fields]
    rows = []
    for key, hint in get_type_hints(loaded, include_extras=True).items():
        given = inspect.signature(loaded).parameters.get(key)
        if get_origin(hint) is Unpack:
            rows += [_row(k, h, None) for k, h in get_type_hints(get_args(hint)[0]).items() if k not in HARNESS]
        elif given is not None and given.kind is given.KEYWORD_ONLY and key not in HARNESS:
            rows.append(_row(key, hint, None if given.default is given.empty else given.default))
    return rows


def fidelity(loaded: Any) -> dict[str, Any] | None:
    """Return the fields of a method's `fidelity` and its citation; None for other plugins or if it has none."""
    found = getattr(loaded, "fidelity", None)
    return None if found is None else dataclasses.asdict(found) | {"citation": found.citation}


def _row(name: str, annotation: Any, default: Any, tune: dict[str, Any] | None = None) -> dict[str, Any]:
    allowed = " and ".join(_bounds(annotation)) or None
    return {"name": name, "type": words(annotation), "default": default, "allowed": allowed, "searched": _search(tune)}


def _default(field: dataclasses.Field) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def words(annotation: Any) -> str:
    """Return a type as text: the words of a Literal, `none` for None, `int`, `str` …"""
    if annotation in (None, type(None)):
        return "none"
    if get_origin(annotation) is Annotated:
        return words(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is None:
        return getattr(annotation, "__name__", str(annotation))
    return " | ".join(dict.fromkeys(words(part) for part in get_args(annotation)))


def _bounds(annotation: Any) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    rules = [r for extra in getattr(annotation, "__metadata__", ()) for r in getattr(extra, "metadata", [extra])]
    return [f"{sign} {getattr(rule, key)}" for rule in rules for key, sign in signs.items() if hasattr(rule, key)]


def _search(tune: dict[str, Any] | None) -> str | None:
    if tune is None:
        return None
    if tune["low"] is None:
        return "every value"
    return f"{tune['low']:g} to {tune['high']:g}" + (" on a log scale" if tune["log"] else "")
