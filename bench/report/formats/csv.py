"""A table as CSV: nine significant digits, missing values empty, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import TextIO

from bench.report.formats.data import DIGITS, Plain, columns
from bench.report.formats.table import Table
from bench.system.text import clean

BREAK = re.compile("[\r\n\x0b\x0c\x1c-\x1e\x85]")  # characters that some CSV readers take as the end of a line
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def render(table: Table) -> str:
    """Return the columns of `bench.report.formats.data` as CSV."""
    held = columns(table)
    out = io.StringIO()
    rows([[*held], *zip(*held.values(), strict=True)], out)
    return out.getvalue()


def rows(values: Iterable[Iterable[Plain]], out: TextIO) -> None:
    """Write rows of values to a text file."""
    csv.writer(out, lineterminator="\n").writerows([entry(value) for value in row] for row in values)


def entry(value: Plain) -> str:
    """Return a value as text on one line; what a spreadsheet would take for a formula gets a leading apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = clean(BREAK.sub(" ", value))
        return f"'{text}" if text.startswith("\t") or text.lstrip().startswith(FORMULA) else text
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
