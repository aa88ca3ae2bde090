"""What happens at each exit: one row per method, budget, seed and exit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.file import Missing

LEAST = 0.005  # share of samples below which an exit says nothing of those that leave
MIDDLE = 0.5  # the budget that figures of one budget show, or the nearest to it


def per_exit(report: CellReport, columns: Sequence[str]) -> pd.DataFrame:
    """Return the per-exit scores of methods; of several records of a point and seed the newest counts.

    NaN where an exit has none. Raises Missing where no record holds the first of these columns.
    """
    records = report.cell.records
    order = [name for name in ("created", "id") if name in records]
    kept = records[records["kind"] == "method"].sort_values(order, kind="stable")
    kept = kept.drop_duplicates(["method", "point", "seed"], keep="last")
    kept = kept[kept["status"] == "ok"].sort_values(["method", "budget", "seed"], kind="stable")
    found = []
    for method, budget, seed, full, table in zip(
        *(kept[name] for name in ("method", "budget", "seed", "full_macs", "per_exit")), strict=True
    ):
        for line in table if isinstance(table, list) else []:
            if columns[0] in line:
                values = {name: _number(line.get(name)) for name in columns}
                cost = _number(line.get("macs")) / full
                known = {"method": method, "budget": budget, "seed": seed, "exit": line["exit"], "cost": cost}
                found.append(known | values)
    if not found:
        raise Missing(f"No record of a method holds '{columns[0]}' per exit.")
    return pd.DataFrame(found)


def middle_budget(data: pd.DataFrame) -> float:
    """Return the budget nearest to MIDDLE at which most methods have data; of two the cheaper."""
    counts = data.groupby("budget")["method"].nunique()
    return float(min(counts.index[counts == counts.max()], key=lambda b: (abs(b - MIDDLE), b)))


def in_order(report: CellReport, data: pd.DataFrame) -> list[str]:
    """Return the methods of the data in the order of the leaderboard: by falling NAUC."""
    there = set(data["method"])
    return [m.label for m in report.statistics.methods if m.label in there]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | np.number) else math.nan
