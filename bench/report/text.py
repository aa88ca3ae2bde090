"""Text that is safe in Markdown."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from bench.system.text import one_line


def escape(text: str) -> str:
    """Escape what Markdown or HTML would interpret, on one line; underscores and dashes within words stay readable."""
    line = html.escape(one_line(text), quote=False)
    line = re.sub(r"([\\`*\[\]|~#!$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def link(text: str, path: str) -> str:
    """Return a Markdown link to a path within the report, whatever characters its folders have."""
    return f"[{text}]({quote(path, safe='/=~', errors='surrogateescape')})"


def seeds_phrase(count: int) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"
