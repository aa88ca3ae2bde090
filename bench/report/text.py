"""Text that is safe in Markdown."""

from __future__ import annotations

import html
import re


def escape(text: str) -> str:
    """Escape what Markdown or HTML would interpret, on one line; underscores and dashes within words stay readable."""
    line = html.escape(" ".join(str(text).split()), quote=False)
    line = re.sub(r"([\\`*\[\]|~#!$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def seeds_phrase(count: int) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"
