"""The operating points of a setting as rows (values with intervals, costs, flags), and keys that explain the flags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.text import seeds_phrase
from bench.stats.flags import Flag

HOLLOW = "hollow: not all seeds"
CROSSED = "×: collapsed, over 95 % leave at one exit in some seed"


def points(report: CellReport, metric: str, *others: str) -> pd.DataFrame:
    """Return means over seeds, with 95 % t intervals, of a metric of methods and static exits.

    Points are left out unless all their seeds have the metric. others: metrics to add as means. The columns
    `incomplete` and `collapsed` decide the look of a marker.
    """
    found = [
        _point(report, row, metric, others) for row in report.rows if row.kind == "method" or row.method == "static"
    ]
    names = ["series", "method", "point", "budget", "macs_fraction", metric, "low", "high", *others, "seeds"]
    return pd.DataFrame([row for row in found if row], columns=[*names, "incomplete", "collapsed"])


def _point(report: CellReport, row: Row, metric: str, others: Sequence[str]) -> dict[str, object] | None:
    value, cost = row.estimate(metric), row.estimate("macs_fraction")
    if value is None or cost is None:
        return None
    return {
        "series": "method" if row.kind == "method" else row.method,
        "method": row.method,
        "point": row.point,
        "budget": row.budget,
        "macs_fraction": cost.value,
        metric: value.value,
        "low": value.low,
        "high": value.high,
        **{name: (e.value if (e := row.estimate(name)) else math.nan) for name in others},
        "seeds": len(value.seeds),
        **point_flags(report, row.flags if row.kind == "method" else (), len(value.seeds)),
    }


def exit_numbers(report: CellReport) -> dict[str, int]:
    """Return the number of every static exit by the name of its point."""
    return {row.point: row.exit for row in report.rows if row.exit is not None}


def rows_of(data: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples."""
    return list(data.itertuples(index=False))


def point_flags(report: CellReport, flags: Iterable[Flag], seeds: int) -> dict[str, bool]:
    """Return what the marker of a point must show. seeds: the number of its seeds with scores."""
    return {
        "incomplete": seeds < len(report.statistics.seeds),
        "collapsed": any(flag.kind == "collapsed" for flag in flags),
    }


def budget_signs(report: CellReport, budget: float) -> dict[str, str]:
    """Return signs per method for a figure of one budget: × if it collapsed, ○ if seeds are missing."""
    found = {}
    for method in report.statistics.methods:
        for point in method.points:
            if point.budget == budget:
                notes = point_flags(report, point.flags, len(point.accuracy.seeds))
                found[method.label] = " ".join(
                    sign for sign, name in (("×", "collapsed"), ("○", "incomplete")) if notes[name]
                )
    return found


def sign_keys(signs: Mapping[str, str]) -> list[str]:
    """Return explanations of the signs that occur."""
    notes = (("×", CROSSED), ("○", "○: not all seeds"))
    return [text for sign, text in notes if any(sign in shown for shown in signs.values())]


def keys(data: pd.DataFrame) -> list[str]:
    """Return explanations of the markers that occur."""
    notes = ((HOLLOW, data["incomplete"].eq(True).any()), (CROSSED, data["collapsed"].eq(True).any()))
    return [text for text, there in notes if there]


def seeds_described(counts: Iterable[int], interval: str) -> str:
    """Return a phrase with the number of seeds and the kind of interval; one seed has no interval."""
    n = sorted(set(counts)) or [0]
    many = seeds_phrase(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]} seeds"
    return f"mean of {many}; {interval}" if n[-1] > 1 else f"{many}, so no intervals"


def cost_label(report: CellReport) -> str:
    """Return the label of the cost axis, with the cost of the plain backbone."""
    macs = float(report.records[0].full_macs)
    one = f"{macs / 1e9:.3g} GMACs" if macs >= 1e8 else f"{macs / 1e6:.3g} MMACs"
    return f"realised MACs on test, fraction of the plain backbone (1 = {one})"
