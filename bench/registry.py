"""Lazy registry of plugins. Names come from installed entry points; nothing is imported until it is asked for."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from bench.errors import UserError, nearest

Kind = Literal["methods", "heads", "datasets", "backbones"]
KINDS: tuple[Kind, ...] = ("methods", "heads", "datasets", "backbones")


@dataclass(frozen=True)
class Plugin:
    """One registered name: where it lives and which distribution brought it. Loading it is a separate step."""

    kind: Kind
    name: str
    target: str
    distribution: str

    def load(self) -> Any:
        """Import the plugin; raise UserError with the reason where that fails."""
        try:
            return EntryPoint(self.name, self.target, f"bench.{self.kind}").load()
        except Exception as error:
            raise UserError(
                f"The {self.kind[:-1]} '{self.name}' ({self.target}, from {self.distribution}) is broken: "
                f"{type(error).__name__}: {error}. Reinstall or remove that distribution."
            ) from error

    @property
    def summary(self) -> str:
        """The first docstring line of what the plugin names, read from its source without importing it."""
        module, _, attribute = self.target.partition(":")
        try:
            spec = importlib.util.find_spec(module)
            tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))  # type: ignore[union-attr,arg-type]
        except (ImportError, AttributeError, TypeError, OSError, SyntaxError, ValueError):
            return "(broken: cannot be read)"
        nodes = [n for n in tree.body if getattr(n, "name", None) == attribute]
        own = ast.get_docstring(nodes[0]) if nodes else None  # type: ignore[arg-type]
        text = own or ast.get_docstring(tree) or ""
        return text.strip().partition("\n")[0]


@cache
def plugins(kind: Kind) -> dict[str, Plugin]:
    """All registered plugins of a kind by name, sorted; two of one name are an error that names both."""
    return collect(kind, entry_points(group=f"bench.{kind}"))


def collect(kind: Kind, found: Iterable[EntryPoint]) -> dict[str, Plugin]:
    """Turn entry points into plugins; raise UserError where two different ones claim one name."""
    result: dict[str, Plugin] = {}
    for entry in found:
        plugin = Plugin(kind, entry.name, entry.value, entry.dist.name if entry.dist else "this run")
        other = result.setdefault(entry.name, plugin)
        if other.target != plugin.target:
            raise UserError(
                f"Two {kind} are called '{entry.name}': {other.target} (from {other.distribution}) and "
                f"{plugin.target} (from {plugin.distribution}). Uninstall or rename one of them."
            )
    return dict(sorted(result.items()))


def find(kind: Kind, name: str) -> Plugin:
    """Look a name up; an unknown one raises UserError with the nearest valid name."""
    known = plugins(kind)
    if name not in known:
        raise UserError(f"There is no {kind[:-1]} '{name}'.{nearest(name, known)} See `bench list {kind}`.")
    return known[name]


def load(kind: Kind, name: str) -> Any:
    """Import and return the plugin of that name."""
    return find(kind, name).load()
