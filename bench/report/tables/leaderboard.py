"""The leaderboard of a cell: its methods by NAUC, with what it rests on and what must be said beside it."""

from __future__ import annotations

from bench.report.context import CellReport
from bench.report.table import Column, Highlight, Table, Value
from bench.stats.results import CellStatistics, CurveStatistics, MethodStatistics

COLUMNS = (
    Column("rank", "Rank", note="the ranks that the method may hold, all pairs judged at once at 95 %"),
    Column("method", "Method"),
    Column("nauc", "NAUC, %", 2, 100, interval=True, note="mean accuracy over all costs of the window"),
    Column("gain", "Over static hull, points", 2, 100, interval=True, signed=True, note="NAUC less that of mixed static exits"),
    Column("skill", "Skill, %", 1, 100, interval=True, note="share of the way from the static hull to the oracle"),
    Column("difference", "Against baseline, points", 2, 100, interval=True, signed=True, note="NAUC less the baseline's, seed by seed"),
    Column("p_holm", "p (Holm)", 3, p=True, note="two-level bootstrap, corrected for the number of methods"),
    Column("verdict", "Verdict"),
    Column("cost@0", "Cost at −0", 2, note="least cost of the plain backbone's accuracy"),
    Column("cost@0.005", "−0.5", 2),
    Column("cost@0.01", "−1", 2),
    Column("cost@0.02", "−2", 2),
    Column("marks", "Marks"),
)  # fmt: skip


def leaderboard(report: CellReport) -> Table:
    """Return the methods of a cell by falling NAUC, those with gaps below, then static hull and oracle."""
    cell = report.statistics
    rows: list[dict[str, Value]] = [_row(cell, method) for method in cell.methods]
    marks: dict[tuple[int, str], Highlight] = {}
    for i, method in enumerate(cell.methods):
        if method.rank and method.rank.first == 1:
            marks[i, "nauc"] = "best"
    for title, curve in (("static hull", cell.static), ("oracle", cell.oracle)):
        if curve is not None:
            rows.append({"method": title, **_curve(curve), "marks": "reference"})
    columns = [c for c in COLUMNS if any(row.get(c.key) is not None for row in rows)]
    return Table("leaderboard", "Leaderboard", columns, rows, _caption(cell), marks)


def _row(cell: CellStatistics, method: MethodStatistics) -> dict[str, Value]:
    comparison = method.comparison
    baseline = cell.baseline is not None and cell.baseline.label == method.label
    return {
        "rank": str(method.rank) if method.rank else None,
        "method": method.label,
        **_curve(method.curve),
        "difference": comparison.difference if comparison else None,
        "p_holm": comparison.p_holm if comparison else None,
        "verdict": "baseline" if baseline else comparison.verdict if comparison else None,
        "marks": ", ".join(str(mark) for mark in (*method.marks, *cell.marks.cell)),
    }


def _curve(curve: CurveStatistics) -> dict[str, Value]:
    found: dict[str, Value] = {"nauc": curve.nauc, "gain": curve.gain, "skill": curve.skill}
    return found | {f"cost@{iso.loss:g}": iso.cost for iso in curve.iso}


def _caption(cell: CellStatistics) -> str:
    return ""
