"""Scores per exit: one row per method, budget, seed and exit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.file import Missing

LEAST = 0.005  # smallest share of samples for which scores of the leaving samples are shown
MIDDLE = 0.5  # figures of one budget show the budget nearest to this


def per_exit(report: CellReport, columns: Sequence[str]) -> pd.DataFrame:
    """Return the per-exit scores of methods; missing scores are NaN.

    Raises Missing if no record has the first of these columns.
    """
    held = [record for record in report.newest if record.point.kind == "method" and record.status == "ok"]
    held.sort(key=lambda r: (r.point.label, math.inf if r.point.budget is None else r.point.budget, r.point.seed))
    found = []
    for record in held:
        known = {"method": record.point.label, "budget": record.point.budget, "seed": record.point.seed}
        for line in record.per_exit:
            if columns[0] in line:
                cost = _number(line.get("macs")) / record.full_macs
                values = {name: _number(line.get(name)) for name in columns}
                found.append({**known, "exit": line["exit"], "cost": cost, **values})
    if not found:
        raise Missing(f"No record of a method has '{columns[0]}' per exit.")
    return pd.DataFrame(found)


def middle_budget(data: pd.DataFrame) -> float:
    """Return the budget nearest to MIDDLE at which most methods have data; ties go to the cheaper one."""
    counts = data.groupby("budget")["method"].nunique()
    return float(min(counts.index[counts == counts.max()], key=lambda b: (abs(b - MIDDLE), b)))


def in_order(report: CellReport, data: pd.DataFrame) -> list[str]:
    """Return the methods of the data in the order of the leaderboard, by descending own gain."""
    there = set(data["method"])
    return [m.label for m in report.statistics.methods if m.label in there]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | np.number) else math.nan
