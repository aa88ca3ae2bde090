"""The methods of a setting at one budget: accuracy, cost, own gain, calibration and set size."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.summary import CellSummary
from bench.report.tables.at_budget import PLAIN
from bench.report.tables.words import FLAGS, caption, flagged
from bench.stats.compare import MIN_SEEDS
from bench.stats.flags import Flag
from bench.stats.results import BudgetStatistics, CurveStatistics, MethodStatistics

ECE, SIZE = "ece_mass15", "set_size_lac@0.05"
COLUMNS = (
    Column("method", "Method"),
    Column("accuracy", "Accuracy, %", 2, 100, interval=True),
    Column("cost", "Cost", 3),
    Column("gain", "Own gain, points", 2, 100, signed=True),
    Column(ECE, "ECE, %", 2, 100),
    Column(SIZE, "Set size", 2),
    *FLAGS,
)


def one_budget(summary: CellSummary, budget: float) -> Table:
    """Return the methods by descending own gain at a budget, then static hull, plain backbone and oracle."""
    cell = summary.statistics
    held = [(method, at) for method in cell.methods if (at := _at(method.curve, budget)) is not None]
    held.sort(key=lambda pair: (math.isnan(pair[1].gain.value), -pair[1].gain.value))
    rows: list[Mapping[str, Value]] = [_row(summary, method, at, budget) for method, at in held]
    highlights: dict[tuple[int, str], Highlight] = {
        (i, "method"): "leading" for i, (_, at) in enumerate(held) if at.leading
    }
    about = flagged(cell, [Flag("note", "reference")])
    if cell.static and (at := _at(cell.static, budget)):
        rows.append({"method": "static hull", "accuracy": at.accuracy, "gain": at.gain, **about})
    if cell.exits:
        rows.append({"method": PLAIN, "accuracy": cell.exits[-1].accuracy, "cost": cell.exits[-1].cost, **about})
    if cell.oracle and (at := _at(cell.oracle, budget)):
        rows.append({"method": "oracle", "accuracy": at.accuracy, "gain": at.gain, **about})
    text = caption(
        cell,
        f"Budget {budget:g}, a share of the plain backbone's MACs. Accuracy and own gain (minus the static hull): of a "
        "method's own curve where its cost equals the budget. Cost, ECE and set size (LAC, α = 0.05): of its policy "
        "for the budget, on test. Brackets: 95 % intervals.",
        "●: leading group at this budget."
        if len(cell.seeds) >= MIN_SEEDS
        else f"Fewer than {MIN_SEEDS} seeds: no ranks.",
    )
    return Table("one_budget", f"Budget {budget:g}", list(COLUMNS), rows, text, highlights)


def _row(summary: CellSummary, method: MethodStatistics, at: BudgetStatistics, budget: float) -> dict[str, Value]:
    point = next((p for p in method.points if p.budget == budget), None)
    scores = summary.scores.get(method.label, {}).get(point.name, {}) if point else {}
    return {
        "method": method.label,
        "accuracy": at.accuracy,
        "cost": point.cost if point else None,
        "gain": at.gain,
        ECE: scores.get(ECE),
        SIZE: scores.get(SIZE),
        **flagged(summary.statistics, point.flags if point else method.flags),
    }


def _at(curve: CurveStatistics, budget: float) -> BudgetStatistics | None:
    return next((at for at in curve.budgets if at.budget == budget), None)
