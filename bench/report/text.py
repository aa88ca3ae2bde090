"""Text that is safe in Markdown."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from bench.system.text import one_line


def escape(text: str) -> str:
    """Escape Markdown and HTML and join lines; underscores and dashes within words are not escaped."""
    line = html.escape(one_line(text), quote=False)
    line = re.sub(r"([\\`*\[\]|~#!$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def link(text: str, path: str) -> str:
    """Return a Markdown link to a path within the report; special characters of the path are quoted."""
    return f"[{text}]({quote(path, safe='/=~', errors='surrogateescape')})"


def seeds_phrase(count: int) -> str:
    """Return a number of seeds as text: `1 seed`, `3 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"
