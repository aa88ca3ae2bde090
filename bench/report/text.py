"""Text that is safe in Markdown, and numbers as the tables show them."""

from __future__ import annotations

import html
import math
import re

from bench.report.aggregate import Estimate


def escape(text: str) -> str:
    """Escape what Markdown or HTML would interpret, on one line; underscores and dashes within words stay readable."""
    line = html.escape(" ".join(str(text).split()), quote=False)
    line = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def number(estimate: Estimate | None, digits: int, scale: float = 1.0, *, half: bool = False) -> str:
    """Write a mean (`78.31`), with its half width if asked for and known (`78.31 ± 0.42`), or a dash."""
    if estimate is None:
        return "–"
    text = f"{estimate.mean * scale:.{digits}f}"
    if float(text) == 0.0:
        text = text.lstrip("-")
    return f"{text} ± {estimate.half * scale:.{digits}f}" if half and not math.isnan(estimate.half) else text


def seeds_phrase(count: int) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count} seed{'' if count == 1 else 's'}"
