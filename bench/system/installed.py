"""Installed distributions and the plugins that they provide, read once per process: reading metadata is slow."""

from __future__ import annotations

from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any

_names: dict[int, tuple[Distribution, str]] = {}  # by id, which is unique while the distribution is kept here


@cache
def entries(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group."""
    return tuple(_all().select(group=group))


def owner(entry: EntryPoint) -> str | None:
    """Return the name of the distribution that an entry point belongs to."""
    found = entry.dist
    if found is None:
        return None
    if id(found) not in _names:
        _names[id(found)] = found, found.name
    return _names[id(found)][1]


@cache
def release(name: str) -> tuple[str, int] | None:
    """Return a distribution's version and when it was installed (ns); None if it is not installed."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    place = getattr(found, "_path", None)
    return found.version, Path(place).stat().st_mtime_ns if place is not None else 0


@cache
def _all() -> Any:  # its type differs between Python versions
    return entry_points()
