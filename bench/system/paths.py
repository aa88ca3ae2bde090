"""Paths as users write them: `~` and `$VAR` are expanded wherever a path is accepted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import UserError

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[^}]*)\}|(?P<bare>[A-Za-z_]\w*))")


def user_path(text: str | Path) -> Path:
    """Return the path that a user wrote, with `~`, `~user`, `$VAR` and `${VAR}` expanded.

    A path that exists exactly as written is not expanded. Raises UserError for an empty path, a NUL character, a
    variable that is not set, and an unknown home folder; nothing is ever created under such a name.
    """
    given = os.fspath(text)
    if not given.strip():
        raise UserError("A path is empty, perhaps because a shell variable is not set. Write the path out.")
    if "\0" in given:
        raise UserError(f"The path {given!r} contains a NUL character. Remove it.")
    if given[0] != "~" and _exists(given):
        return Path(given)
    filled = os.path.expanduser(_VARIABLE.sub(_value, given))  # noqa: PTH111 - Path.expanduser raises without a home
    if given[0] == "~" and (filled[0] == "~" or not os.path.isabs(filled)):  # noqa: PTH117
        raise UserError(f"The home folder in '{given}' is not known. Set $HOME, or write the path out.")
    return Path(filled)


def exists(text: str) -> bool:
    """Return whether the path that a user wrote exists."""
    try:
        return _exists(str(user_path(text)))
    except UserError:
        return False


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def _value(found: re.Match[str]) -> str:
    from bench.system.recall import unrepeatable

    name = found["braced"] if found["bare"] is None else found["bare"]
    value = os.environ.get(name)
    if not value:
        raise UserError(f"'{found.string}' contains ${name}, which is not set. Set it, or write the path out.")
    unrepeatable()  # a remembered lookup does not track variables
    return value
