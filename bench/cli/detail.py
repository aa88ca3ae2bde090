"""The parameters and the source of a plugin, as `bench list KIND NAME` prints them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from bench.backbones.builder import find as builder_of
from bench.backbones.builder import keywords
from bench.plugins import registry
from bench.plugins.registry import Kind

HARNESS = ("argument", "num_classes", "data_dir", "return")  # passed by the harness, not by the user in brackets


def find(kind: Kind, name: str) -> tuple[Any, str]:
    """Return the plugin of a name and its distribution or module; `module:factory` is imported."""
    if kind == "backbones":
        builder = builder_of(name)
        if builder.imported:
            return builder.function, builder.spec.name
        name = builder.spec.name
    found = registry.find(kind, name)
    return found.load(), found.distribution


def parameters(loaded: Any) -> list[dict[str, Any]]:
    """Return a plugin's parameters: name, type, default, allowed range (None: any) and searched range (None: none)."""
    if isinstance(loaded, type) and hasattr(loaded, "Config"):
        hints = get_type_hints(loaded.Config, include_extras=True)
        fields = dataclasses.fields(loaded.Config)
        return [_row(f.name, hints[f.name], _default(f), f.metadata.get("tune")) for f in fields]
    given = inspect.signature(loaded).parameters
    defaults = {key: None if p.default is p.empty else p.default for key, p in given.items()}
    return [_row(key, hint, defaults.get(key)) for key, hint in keywords(loaded)[0].items() if key not in HARNESS]


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
    """Return a type as text: the values of a Literal, `none` for None, `int`, `str` …"""
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
