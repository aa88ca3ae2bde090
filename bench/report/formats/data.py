"""A table as columns of plain values, unscaled: what CSV and Parquet hold.

Numbers are rounded, so that every machine writes the same bytes. An estimate is three columns: `key`, `key_low` and
`key_high`, its 95 % interval. `key_highlight` says what stands out in the forms for readers
(best, leading, above, below).
"""

from __future__ import annotations

import math

from bench.report.formats.table import Table, Value
from bench.stats.bootstrap import Estimate

Plain = str | int | float | None
DIGITS, PLACES = 9, 12


def columns(table: Table) -> dict[str, list[Plain]]:
    """Return every column with one value per row, None where there is none."""
    found: dict[str, list[Plain]] = {}
    for column in table.columns:
        key = column.key
        values = [row.get(key) for row in table.rows]
        found[key] = [plain(v) for v in values]
        if any(isinstance(v, Estimate) for v in values):
            found[f"{key}_low"] = [plain(v.low) if isinstance(v, Estimate) else None for v in values]
            found[f"{key}_high"] = [plain(v.high) if isinstance(v, Estimate) else None for v in values]
        if any(k == key for _, k in table.highlights):
            found[f"{key}_highlight"] = [table.highlights.get((i, key)) for i in range(len(values))]
    return found


def plain(value: Value) -> Plain:
    """Return a value, of an estimate its value, rounded; None where there is none."""
    if isinstance(value, Estimate):
        value = value.value
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else rounded(value)


def rounded(value: float) -> float:
    """Round to DIGITS significant digits and PLACES places: beyond them, machines differ in how they sum."""
    return float(f"{round(value, PLACES):.{DIGITS}g}") + 0.0
