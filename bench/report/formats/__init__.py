"""The forms that a table is written in: `render(table)` of each module, by the name of its format."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.formats import csv, latex, markdown, parquet
from bench.report.formats.table import Table

FORMS: dict[str, Callable[[Table], str | bytes]] = {
    "md": markdown.render,
    "csv": csv.render,
    "parquet": parquet.render,
    "latex": latex.render,
}
DATA = ("csv", "parquet")  # have all rows and columns of a table; the others only what is for readers


def write(table: Table, form: str) -> bytes:
    """Return a table in one form, encoded."""
    made = FORMS[form](table)
    return made.encode() if isinstance(made, str) else made
