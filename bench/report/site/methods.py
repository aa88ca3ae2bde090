"""The page of a method: its parameters, and its results in every setting."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.site.commands import BUDGET, METHOD
from bench.report.summary import CellSummary, Report
from bench.report.tables.leaderboard import compared
from bench.stats.baseline import PLAIN
from bench.stats.results import MethodStatistics

RESULTS = (
    Column("setting", "Setting"),
    Column("rank", "Rank", note="simultaneous 95 % confidence interval for the rank"),
    Column("own", "Own gain, points", 2, 100, True, True, note="its own curve minus the static hull, mean over costs"),
    Column("nauc", "NAUC with static exits, %", 2, 100, True, note="mean accuracy of the hull with static exits"),
    Column("difference", "Over baseline, points", 2, 100, True, True, note="own gain minus the baseline’s"),
    Column("verdict", "Verdict", note="result of the comparison with the baseline"),
    Column("plain_difference", f"Over {PLAIN}, points", 2, 100, True, True, note=f"own gain minus that of {PLAIN}"),
    Column("plain_verdict", "Verdict", note="result of that comparison"),
    Column("flags", "Flags"),
)  # fmt: skip
POINTS = (
    Column("setting", "Setting"),
    Column("budget", "Budget, % of MACs", 1, 100, note="the allowed share of the plain backbone’s MACs"),
    Column("accuracy", "Accuracy, %", 2, 100, interval=True),
    Column("cost", "Cost, % of MACs", 1, 100, interval=True, note="realised on test, heads and gates included"),
    Column("ece", "ECE, %", 2, 100, interval=True, note="15 bins of equal mass"),
    Column("set_size", "LAC set size", 2, interval=True, note="mean number of classes at α = 0.05"),
    Column("flags", "Flags"),
)


@dataclass(frozen=True)
class Place:
    """A method within one setting."""

    cell: CellSummary
    method: MethodStatistics


@dataclass(frozen=True)
class Export:
    """The command that exports a method's policy in one setting, for one budget and with a {budget} placeholder."""

    setting: str
    budgets: list[str]
    budget: str
    template: str
    command: str
    lacking: list[str]


def exports(places: Sequence[Place]) -> list[Export]:
    """Return the export command of every setting where the method has results, at the budget nearest to 0.5."""
    found = []
    for place in places:
        points = place.method.points
        budgets = [p.budget for p in points if p.budget is not None and math.isfinite(p.accuracy.value)]
        if not budgets:
            continue
        known = place.cell.finder
        template = known["export"].replace(METHOD, shlex.quote(place.method.label))
        budget = f"{min(budgets, key=lambda b: abs(b - 0.5)):g}"
        command = template.replace(BUDGET, budget)
        names = [f"{b:g}" for b in budgets]
        found.append(Export(place.cell.name, names, budget, template, command, known["lacking"]))
    return found


def occurrences(report: Report) -> dict[str, list[Place]]:
    """Return the settings of every method by its label, sorted by label."""
    found: dict[str, list[Place]] = {}
    for cell in report.cells:
        for method in cell.statistics.methods:
            found.setdefault(method.label, []).append(Place(cell, method))
    return dict(sorted(found.items()))


def parameters(places: Sequence[Place]) -> list[tuple[str, str]]:
    """Return all parameters in the method's order; a parameter has several values if settings or seeds differ."""
    found: dict[str, set[str]] = {}
    for place in places:
        for key, values in place.cell.params.get(place.method.label, {}).items():
            found.setdefault(key, set()).update(values)
    return [(key, ", ".join(sorted(values))) for key, values in found.items()]


def tables(places: Sequence[Place]) -> list[Table]:
    """Return the tables of a method: results over all costs, and operating points at its budgets."""
    results: list[dict[str, Value]] = [_result(p) for p in places]
    points = [row for p in places for row in _points(p)]
    leaders: dict[tuple[int, str], Highlight] = {
        (i, "rank"): "leading" for i, p in enumerate(places) if p.method.leading
    }
    leading = "Shaded: settings where its rank may be 1." if leaders else ""
    return [
        Table("results", "Results in every setting", _filled(RESULTS, results), results, leading, leaders),
        Table("points", "Operating points", _filled(POINTS, points), points),
    ]


def _result(place: Place) -> dict[str, Value]:
    method, statistics = place.method, place.cell.statistics
    baseline = statistics.baseline
    told, plain = compared(method.comparison), compared(method.against_plain, "plain_")
    verdict = "baseline" if baseline and baseline.label == method.label else told.get("verdict")
    return {
        "setting": place.cell.folder,
        "rank": str(method.rank) if method.rank else None,
        "own": method.curve.own,
        "nauc": method.curve.nauc,
        "difference": told.get("difference"),
        "verdict": verdict,
        "plain_difference": plain.get("plain_difference"),
        "plain_verdict": plain.get("plain_verdict"),
        "flags": ", ".join(map(str, (*method.flags, *statistics.flags))),
    }


def _points(place: Place) -> list[dict[str, Value]]:
    scores = place.cell.scores.get(place.method.label, {})
    return [
        {
            "setting": place.cell.folder,
            "budget": p.budget,
            "accuracy": p.accuracy,
            "cost": p.cost,
            "ece": scores.get(p.name, {}).get("ece_mass15"),
            "set_size": scores.get(p.name, {}).get("set_size_lac@0.05"),
            "flags": ", ".join(map(str, p.flags)),
        }
        for p in place.method.points
    ]


def _filled(columns: Sequence[Column], rows: Sequence[dict[str, Value]]) -> list[Column]:
    return [c for c in columns if any(row.get(c.key) not in (None, "") for row in rows)]
