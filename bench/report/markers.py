"""Markers in a README, between which the leaderboard is written; users add them. Imports nothing heavy."""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import UserError

BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def read(readme: Path) -> str:
    """Return the text of a README with its line endings unchanged. Raises UserError if it cannot be read."""
    try:
        return readme.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{readme}' cannot be read ({error}).") from None


def marked(readme: Path) -> str:
    """Return the text of a README with markers. Raises UserError if it has no markers or cannot be read."""
    if not has_markers(text := read(readme)):
        raise UserError(f"'{readme}' has no leaderboard markers. Add {BEGIN} and {END} on lines of their own.")
    return text


def has_markers(text: str) -> bool:
    """Return whether a text has both markers in order."""
    return BLOCK.search(text) is not None


def own_readme(out: Path) -> Path | None:
    """Return the README beside the folder of reports if it has the markers, otherwise None."""
    readme = out.resolve().parent / "README.md"
    return readme if readme.is_file() and has_markers(read(readme)) else None
