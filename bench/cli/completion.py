"""What a shell completes values with: registered names and stored settings. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bench.plugins.registry import Kind


def names(kind: Kind, *words: str) -> Callable[[str], list[str]]:
    """Return what completes the last of several names of a kind, or one of some words; nothing within brackets."""

    def complete(incomplete: str) -> list[str]:
        from bench.plugins import registry

        if incomplete.count("[") > incomplete.count("]"):
            return []
        before, comma, _ = incomplete.rpartition(",")
        return _fitting(incomplete, (before + comma + name for name in (*registry.plugins(kind), *words)))

    return complete


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a setting of the store that the command reads."""
    root = Path(ctx.params.get("results") or "results").expanduser()
    found = (path for path in root.glob("[!.]*/[!.]*") if path.is_dir() and path.parent.name != "report")
    return _fitting(incomplete, (path.relative_to(root).as_posix() for path in found))


def _fitting(incomplete: str, values: Iterable[str]) -> list[str]:
    return sorted(value for value in values if value.startswith(incomplete))
