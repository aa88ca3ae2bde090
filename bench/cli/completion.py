"""Completion of values in the shell: registered names and stored settings. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bench.plugins.registry import Kind


def names(kind: Kind, *words: str) -> Callable[[str], list[str]]:
    """Return a completer of comma-separated names of a kind and of `words`; within brackets it completes `heads=`."""

    def complete(incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        if incomplete.count("[") > incomplete.count("]"):
            head, equals, _ = incomplete.rpartition("heads=")
            recipes = incomplete[len(head + equals) :]
            known = _registered("heads") if equals and not set(recipes) & set("[],") else ()
            return _fitting(incomplete, (head + equals + name for name in known))
        return _fitting(incomplete, (before + comma + name for name in (*_registered(kind), *words)))

    return complete


def of_kind(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a name of the kind on the command line, or of any kind, for `bench list` and `bench check`."""
    from bench.plugins import registry

    given = str(ctx.params.get("kind") or "")
    kinds = [kind for kind in registry.KINDS if given in (kind, kind.removesuffix("s"))]
    return _fitting(incomplete, {name for kind in kinds or registry.KINDS for name in _registered(kind)})


def words(*valid: str) -> Callable[[str], list[str]]:
    """Return a completer of one of a few values."""
    return lambda incomplete: _fitting(incomplete, valid)


def several(*valid: str) -> Callable[[str], list[str]]:
    """Return a completer of comma-separated values."""

    def complete(incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        return _fitting(incomplete, (before + comma + value for value in valid))

    return complete


def suites(incomplete: str) -> list[str]:
    """Complete the name of a suite."""
    from bench.suites.suite import suites as known

    return _fitting(incomplete, known())


def banks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a bank in the folder that the command reads."""
    from bench.bank import store

    return _fitting(incomplete, (path.name for path in store.bank_paths(ctx.params.get("bank_dir"))))


def _registered(kind: Kind) -> Iterable[str]:
    from bench.plugins import registry

    return registry.plugins(kind)


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a setting in the store that the command reads."""
    return _settings(ctx, incomplete, "results")


def of_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a setting in the working store that the command reads."""
    return _settings(ctx, incomplete, "runs")


def _settings(ctx: typer.Context, incomplete: str, default: str) -> list[str]:
    given = ctx.params.get("results") or default
    root = Path(given if isinstance(given, str | Path) else given[0]).expanduser()
    found = (path for path in root.glob("[!.]*/[!.]*") if path.is_dir() and path.parent.name != "report")
    return _fitting(incomplete, (path.relative_to(root).as_posix() for path in found))


def _fitting(incomplete: str, values: Iterable[str]) -> list[str]:
    return sorted(value for value in values if value.startswith(incomplete))
