"""Values as readers see them, before a format escapes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.stats.bootstrap import Estimate

NOTHING = "–"
SIGNS = {"above": "▲", "below": "▼"}
LEADING = ("best", "leading")


@dataclass(frozen=True)
class Shown:
    """One entry: its text, its interval ('' if none is shown), and its highlight."""

    text: str
    interval: str = ""
    highlight: Highlight | None = None


def shown_rows(table: Table) -> list[list[Shown]]:
    """Return the entries of all visible rows."""
    rows = range(len(table.rows if table.shown is None else table.rows[: table.shown]))
    return [[shown(table.rows[i].get(c.key), c, table.highlights.get((i, c.key))) for c in table.visible] for i in rows]


def shown(value: Value, column: Column, highlight: Highlight | None = None) -> Shown:
    """Return a value as readers see it: '–' if it is missing, '∞' if it is infinite."""
    if isinstance(value, Estimate):
        return Shown(number(value.value, column), _interval(value, column) if column.interval else "", highlight)
    if isinstance(value, float):
        return Shown(number(value, column), "", highlight)
    return Shown(NOTHING if value is None or value == "" else str(value), "", highlight)


def number(value: float, column: Column) -> str:
    """Return a number as text with the digits of its column; a p-value that would be rounded to 0 becomes '<0.001'."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if column.p:
        least = 10.0**-column.digits
        return f"<{least:.{column.digits}f}" if value < least else f"{value:.{column.digits}f}"
    text = f"{value * column.scale:.{column.digits}f}"
    if float(text) == 0.0:
        return text.lstrip("-")
    return f"+{text}" if column.signed and value > 0 else text.replace("-", "−")


def _interval(value: Estimate, column: Column) -> str:
    return f"[{number(value.low, column)}, {number(value.high, column)}]" if value.known else ""
