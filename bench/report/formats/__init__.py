"""The formats of tables: FORMS maps the name of a format to the `render(table)` of its module."""

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
DATA = ("csv", "parquet")  # these have all rows and columns of a table; other formats have only the visible ones


def write(table: Table, form: str) -> bytes:
    """Return a table in one format as bytes."""
    made = FORMS[form](table)
    return made.encode() if isinstance(made, str) else made
