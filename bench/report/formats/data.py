"""A table as columns of plain, unscaled values, for CSV and Parquet.

Numbers are rounded, so that every machine writes the same bytes. An estimate has three columns: `key`, and its 95 %
interval in `key_low` and `key_high`. `key_highlight` is the highlight of the formats for readers (best, leading, above,
below).
"""

from __future__ import annotations

import math

from bench.report.formats.table import Table, Value
from bench.stats.bootstrap import Estimate

Plain = str | int | float | None
DIGITS, PLACES = 9, 12


def columns(table: Table) -> dict[str, list[Plain]]:
    """Return every column with one value per row; missing values are None."""
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
    """Return a value, or the value of an estimate, rounded; None if it is missing or NaN."""
    if isinstance(value, Estimate):
        value = value.value
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else rounded(value)


def rounded(value: float) -> float:
    """Round to DIGITS significant digits and PLACES decimal places; further digits differ between machines."""
    return float(f"{round(value, PLACES):.{DIGITS}g}") + 0.0
