"""A table as CSV: nine significant digits, empty where there is nothing, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

from bench.report.formats.data import DIGITS, Plain, columns
from bench.report.formats.table import Table

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(table: Table) -> str:
    """Return the table of `bench.report.formats.data`."""
    held = columns(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_text(key) for key in held])
    writer.writerows([_text(value) for value in row] for row in zip(*held.values(), strict=True))
    return out.getvalue()


def _text(value: Plain) -> str:
    """Write a value; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = f"'{value}" if value.startswith(FORMULA) else value
        return text.replace("\r", " ")  # the writer leaves it unquoted, and readers end the line there
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
