"""Tables of the report for the site: sortable, with methods and settings linked to their pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.report.formats.shown import LEADING, SIGNS, shown_rows
from bench.report.formats.table import Column, Table, Value
from bench.stats.bootstrap import Estimate

LINKED = ("method", "setting")  # columns whose entries link to pages
LONG = 24  # longer entries (in characters) of text columns may wrap


@dataclass(frozen=True)
class Head:
    """A column heading: its key, text, kind ('number' or 'text') and explanation."""

    key: str
    title: str
    kind: str
    note: str


@dataclass(frozen=True)
class Box:
    """An entry of a table: its text, the value that it is sorted by, and its highlight."""

    text: str
    value: str
    kind: str
    interval: str = ""
    best: bool = False
    leading: bool = False
    sign: str = ""
    highlight: str = ""
    href: str = ""
    wide: bool = False
    sticky: bool = False


@dataclass(frozen=True)
class Grid:
    """A table for a page. `cut` is the number of rows that are only in data files."""

    name: str
    title: str
    caption: str
    heads: list[Head]
    rows: list[list[Box]]
    cut: int

    @property
    def notes(self) -> list[Head]:
        """The headings that have an explanation."""
        return [head for head in self.heads if head.note]


def grids(tables: Iterable[Table], links: Mapping[str, str]) -> list[Grid]:
    """Return all tables that have visible rows."""
    return [grid(table, links) for table in tables if table.shown != 0]


def grid(table: Table, links: Mapping[str, str]) -> Grid:
    """Return a table for a page; entries of the columns `method` and `setting` that are in `links` become links."""
    heads = [Head(c.key, c.title, "text" if table.is_text(c) else "number", c.note) for c in table.visible]
    rows = []
    for row, cells in zip(table.rows, shown_rows(table), strict=False):
        line = []
        for column, head, shown in zip(table.visible, heads, cells, strict=True):
            line.append(
                Box(
                    text=shown.text,
                    value=plain(row.get(column.key)),
                    kind=head.kind,
                    interval=shown.interval,
                    best=shown.highlight == "best",
                    leading=shown.highlight in LEADING,
                    sign=SIGNS.get(shown.highlight or "", ""),
                    highlight=shown.highlight or "",
                    href=_link(column, row.get(column.key), links),
                    wide=head.kind == "text" and len(shown.text) > LONG and column.key not in LINKED,
                    sticky=column.key == "method",
                )
            )
        rows.append(line)
    return Grid(table.name, table.title, table.caption, heads, rows, len(table.rows) - len(rows))


def plain(value: Value) -> str:
    """Return the value that an entry is sorted by, as text; '' if it is missing."""
    if isinstance(value, Estimate):
        value = value.value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _link(column: Column, value: Value, links: Mapping[str, str]) -> str:
    return links.get(value, "") if column.key in LINKED and isinstance(value, str) else ""
