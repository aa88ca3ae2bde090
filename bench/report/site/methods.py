"""A method's page: what it is, with which settings it ran, what it reached in every cell, and its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.cells import without_paths
from bench.report.context import CellReport, Report
from bench.report.formats.table import Column, Table, Value
from bench.stats.results import MethodStatistics
from bench.trials.record import Record

RESULTS = (
    Column("cell", "Cell"),
    Column("rank", "Rank", note="the ranks that the method may hold, all pairs judged at once at 95 %"),
    Column("nauc", "NAUC, %", 2, 100, interval=True, note="mean accuracy over the costs of the cell’s window"),
    Column("gain", "Over static hull, points", 2, 100, interval=True, signed=True, note="NAUC less the static hull’s"),
    Column("skill", "Skill, %", 1, 100, interval=True, note="share of the way from the static hull to the oracle"),
    Column("difference", "Over baseline, points", 2, 100, interval=True, signed=True, note="NAUC less the baseline’s"),
    Column("verdict", "Verdict", note="of the comparison with the baseline"),
    Column("marks", "Marks"),
)  # fmt: skip
POINTS = (
    Column("cell", "Cell"),
    Column("budget", "Budget", 2, note="the allowed fraction of the plain backbone’s MACs"),
    Column("accuracy", "Accuracy, %", 2, 100, interval=True),
    Column("cost", "Cost, % of MACs", 1, 100, interval=True, note="spent on test, heads and gates included"),
    Column("ece", "ECE, %", 2, 100, interval=True, note="15 bins of equal mass"),
    Column("set_size", "LAC set size", 2, interval=True, note="mean number of classes at α = 0.05"),
    Column("marks", "Marks"),
)
RECORDS = (
    Column("cell", "Cell"),
    Column("point", "Point"),
    Column("seed", "Seed"),
    Column("status", "Status"),
    Column("accuracy", "Accuracy, %", 2, 100),
    Column("cost", "Cost, % of MACs", 1, 100),
    Column("fit", "Fit, s", 1, note="of all budgets of the seed together"),
    Column("said", "What it says", note="the method’s note, or the reason for no result"),
    Column("id", "Record"),
)


@dataclass(frozen=True)
class Place:
    """A method within one cell."""

    report: CellReport
    method: MethodStatistics
    records: list[Record]


def occurrences(report: Report) -> dict[str, list[Place]]:
    """Return every method's places by its label, labels in order."""
    found: dict[str, list[Place]] = {}
    for cell in report.cells:
        mine: dict[str, list[Record]] = {}
        for record in cell.records:
            if record.point.kind == "method":
                mine.setdefault(record.point.label, []).append(record)
        for method in cell.statistics.methods:
            found.setdefault(method.label, []).append(Place(cell, method, mine.get(method.label, [])))
    return dict(sorted(found.items()))


def settings(places: Sequence[Place]) -> list[tuple[str, str]]:
    """Return all parameters in the order of the method's own; several values where cells or seeds differ."""
    found: dict[str, dict[str, None]] = {}
    for place in places:
        for record in sorted(place.records, key=lambda r: r.id):
            for key, value in record.point.params.items():
                found.setdefault(key, {})[_written(value)] = None
    return [(key, ", ".join(sorted(values))) for key, values in found.items()]


def _written(value: Any) -> str:
    return "–" if value is None else without_paths(str(value))


def tables(places: Sequence[Place]) -> list[Table]:
    """Return what the method reached: over all costs, and at each of its budgets."""
    results: list[dict[str, Value]] = [_result(p) for p in places]
    points = [row for p in places for row in _points(p)]
    return [
        Table("results", "Results in every cell", _filled(RESULTS, results), results),
        Table("points", "Operating points", _filled(POINTS, points), points),
    ]


def records(places: Sequence[Place]) -> Table:
    """Return the method's records, one row each."""
    rows: list[dict[str, Value]] = [
        {
            "cell": str(place.report.cell.folder),
            "point": r.point.point,
            "seed": r.point.seed,
            "status": r.status,
            "accuracy": r.metrics.get("accuracy"),
            "cost": r.metrics.get("macs_fraction"),
            "fit": r.timings.get("fit_seconds"),
            "said": without_paths(r.reason or r.note),
            "id": r.id,
        }
        for place in places
        for r in sorted(place.records, key=lambda r: (r.point.budget or 0.0, r.point.point, r.point.seed, r.id))
    ]
    return Table("records", "Records", _filled(RECORDS, rows), rows)


def _result(place: Place) -> dict[str, Value]:
    method, baseline = place.method, place.report.statistics.baseline
    comparison = method.comparison
    verdict = comparison.verdict if comparison else None
    return {
        "cell": str(place.report.cell.folder),
        "rank": str(method.rank) if method.rank else None,
        "nauc": method.curve.nauc,
        "gain": method.curve.gain,
        "skill": method.curve.skill,
        "difference": comparison.difference if comparison else None,
        "verdict": "baseline" if baseline and baseline.label == method.label else verdict,
        "marks": ", ".join(map(str, (*method.marks, *place.report.statistics.marks.cell))),
    }


def _points(place: Place) -> list[dict[str, Value]]:
    rows = {r.point: r for r in place.report.rows if r.kind == "method" and r.method == place.method.label}
    return [
        {
            "cell": str(place.report.cell.folder),
            "budget": p.budget,
            "accuracy": p.accuracy,
            "cost": p.cost,
            "ece": rows[p.name].estimate("ece_mass15") if p.name in rows else None,
            "set_size": rows[p.name].estimate("set_size_lac@0.05") if p.name in rows else None,
            "marks": ", ".join(map(str, p.marks)),
        }
        for p in place.method.points
    ]


def _filled(columns: Sequence[Column], rows: Sequence[dict[str, Value]]) -> list[Column]:
    return [c for c in columns if any(row.get(c.key) not in (None, "") for row in rows)]
