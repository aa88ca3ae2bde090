"""Paths as users write them: `~` and `$VAR` are expanded everywhere a path is taken."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import UserError

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[^}]*)\}|(?P<bare>[A-Za-z_]\w*))")


def user_path(text: str | Path) -> Path:
    """Return the path that a user wrote, with `~`, `~user`, `$VAR` and `${VAR}` expanded.

    A path that exists just as it is written is taken as it is. Raises UserError for an empty path, a NUL character, a
    variable that is not set, and a home folder that is not known; nothing is ever created under such a name.
    """
    given = os.fspath(text)
    if not given.strip():
        raise UserError("A path is empty. Write the path out; a shell variable that is not set leaves nothing.")
    if "\0" in given:
        raise UserError(f"The path {given!r} contains a NUL character. Remove it.")
    if given[0] != "~" and _exists(given):
        return Path(given)
    filled = os.path.expanduser(_VARIABLE.sub(_value, given))  # noqa: PTH111 - Path.expanduser raises without a home
    if given[0] == "~" and (filled[0] == "~" or not os.path.isabs(filled)):  # noqa: PTH117
        raise UserError(f"The home folder in '{given}' is not known. Set $HOME, or write the path out.")
    return Path(filled)


def exists(text: str) -> bool:
    """Return whether something is stored under the path that a user wrote."""
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
        raise UserError(f"'{found.string}' names ${name}, which is not set. Set it, or write the path out.")
    unrepeatable()  # what is remembered of a lookup does not know the variable
    return value
