"""The operating points of a cell as rows of data: values with intervals, costs and marks; and the words for marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report.aggregate import COLLAPSE, Row
from bench.report.context import CellReport
from bench.report.text import seeds_phrase
from bench.stats.marks import Mark
from bench.stats.results import MethodStatistics

KEYS = {"partial": "hollow: not all seeds", "collapsed": "×: collapsed, one exit takes over 95 %"}


def points(report: CellReport, metric: str, *others: str) -> pd.DataFrame:
    """Return methods and static exits where all seeds of a point have a metric, mean over seeds, with 95 % t intervals.

    `state` is 'whole', 'partial' where seeds are missing, or 'collapsed'; `others` are metrics added as plain means.
    """
    found = [_point(row, metric, others) for row in report.rows if row.kind == "method" or row.method == "static"]
    names = ["series", "method", "point", "budget", "macs_fraction", metric, "low", "high", *others, "seeds", "state"]
    return pd.DataFrame([row for row in found if row], columns=names)


def _point(row: Row, metric: str, others: Sequence[str]) -> dict[str, object] | None:
    value, cost = row.estimate(metric), row.estimate("macs_fraction")
    if value is None or cost is None:
        return None
    rest = {name: (e.value if (e := row.estimate(name)) else math.nan) for name in others}
    return {
        "series": "method" if row.kind == "method" else row.method,
        "method": row.method,
        "point": row.point,
        "budget": row.budget,
        "macs_fraction": cost.value,
        metric: value.value,
        "low": value.low,
        "high": value.high,
        **rest,
        "seeds": len(value.seeds),
        "state": state(complete=row.complete, collapsed="collapsed" in row.flags and row.kind == "method"),
    }


def state(*, complete: bool, collapsed: bool) -> str:
    """Name what a point's marker must show; a missing seed is said before a collapse."""
    return "partial" if not complete else "collapsed" if collapsed else "whole"


def point_state(report: CellReport, marks: Iterable[Mark], seeds: int) -> str:
    """The same from the marks of the statistics and the number of seeds with scores."""
    gone = seeds < len(report.statistics.seeds)
    return state(complete=not gone, collapsed=any(m.kind == "collapsed" and m.count > COLLAPSE * m.of for m in marks))


def keys(states: Iterable[str]) -> list[str]:
    """Return what the markers that occur mean."""
    there = set(states)
    return [text for name, text in KEYS.items() if name in there]


def seeds_told(counts: Iterable[int], interval: str) -> str:
    """Say how many seeds stand behind the values and what the interval is; none from one seed."""
    n = sorted(set(counts)) or [0]
    many = seeds_phrase(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]} seeds"
    return f"mean of {many}, {interval}" if n[-1] > 1 else f"{many}, so no intervals"


def marks_told(methods: Iterable[MethodStatistics]) -> str:
    """Return a sentence with the marks of methods, grouped by mark; empty where there are none."""
    groups: dict[str, list[str]] = {}
    for method in methods:
        for mark in method.marks:
            groups.setdefault(str(mark), []).append(method.label)
    told = [f"{', '.join(sorted(labels))}: {text}" for text, labels in groups.items()]
    return f" Marks: {'; '.join(sorted(told))}." if told else ""


def backbone_macs(report: CellReport) -> str:
    """Return what the whole backbone costs, for the label of an axis of costs."""
    full = report.cell.records["full_macs"].dropna() if "full_macs" in report.cell.records else pd.Series(dtype=float)
    return f" (1 = {full.iloc[0] / 1e9:.3g} GMACs)" if len(full) else ""


def cost_label(report: CellReport) -> str:
    """Label the axis of costs."""
    return f"realised MACs on test, fraction of the plain backbone{backbone_macs(report)}"
