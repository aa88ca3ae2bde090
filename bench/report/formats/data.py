"""A table as columns of plain values, unscaled: what CSV and Parquet hold.

An estimate is three columns: `key`, `key_low` and `key_high`, its 95 % interval. What stands out in the forms for
readers is said in `key_mark` (best, above, below).
"""

from __future__ import annotations

import math

from bench.report.table import Table, Value
from bench.stats.bootstrap import Estimate

Plain = str | int | float | None


def columns(table: Table) -> dict[str, list[Plain]]:
    """Return every column with one value per row, None where there is none."""
    found: dict[str, list[Plain]] = {}
    for column in table.columns:
        key = column.key
        values = [row.get(key) for row in table.rows]
        found[key] = [_plain(v.value if isinstance(v, Estimate) else v) for v in values]
        if any(isinstance(v, Estimate) for v in values):
            found[f"{key}_low"] = [_plain(v.low) if isinstance(v, Estimate) else None for v in values]
            found[f"{key}_high"] = [_plain(v.high) if isinstance(v, Estimate) else None for v in values]
        if any(k == key for _, k in table.marks):
            found[f"{key}_mark"] = [table.marks.get((i, key)) for i in range(len(values))]
    return found


def _plain(value: Value) -> Plain:
    if isinstance(value, Estimate) or value is None:
        return None
    return None if isinstance(value, float) and math.isnan(value) else value
