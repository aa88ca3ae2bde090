"""Every operating point of a setting, for data files only."""

from __future__ import annotations

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.formats.table import Column, Table, Value
from bench.report.tables.words import caption, flagged
from bench.stats.results import CellStatistics, PointStatistics

SCORES = (
    "accuracy", "macs_fraction", "macs", "accuracy_random", "gain_random", "ece_mass15", "ece_width15",
    "ece_debiased15", "nll", "brier", "confidence", "mean_exit", "collapsed", "aurc", "e_aurc", "coverage_at_risk@0.05",
    "set_size_lac@0.05", "coverage_lac@0.05", "set_size_aps@0.05", "coverage_aps@0.05", "exit_gap_lac@0.05",
    "balanced_accuracy", "val_accuracy", "val_macs_fraction", "fit_seconds", "play_seconds", "score_seconds",
)  # fmt: skip


def points(report: CellReport) -> Table:
    """Return one row per operating point, including references, with scores, flags and reasons."""
    cell = report.statistics
    known = {(m.label, p.budget): p for m in cell.methods for p in m.points}
    exits = {p.name: p for p in cell.exits}
    rows = [_row(cell, row, known.get((row.method, row.budget)) or _exit(row, exits)) for row in report.rows]
    columns = [
        *(Column(key, key, data=True) for key in ("kind", "method", "point")),
        Column("budget", "budget", 3, data=True),
        *(Column(name, name, 4, data=True) for name in SCORES if any(row[name] is not None for row in rows)),
        *(Column(key, key, data=True) for key in ("seeds", "expected_seeds", "flags", "setting_flags", "reasons")),
    ]
    text = caption(
        cell,
        "Means over seeds. Accuracy and cost of methods and static exits have 95 % bootstrap intervals over seeds, "
        "pools and test samples, all else Student's over seeds and pools.",
    )
    return Table("points", "Operating points", columns, rows, text, shown=0)


def _exit(row: Row, exits: dict[str, PointStatistics]) -> PointStatistics | None:
    return exits.get(row.point) if (row.kind, row.method) == ("reference", "static") else None


def _row(cell: CellStatistics, row: Row, found: PointStatistics | None) -> dict[str, Value]:
    values: dict[str, Value] = {name: row.estimate(name) for name in SCORES}
    if found is not None and found.accuracy.seeds == row.seeds and row.seeds:
        values |= {"accuracy": found.accuracy, "macs_fraction": found.cost}
    return values | {
        "kind": row.kind,
        "method": row.method,
        "point": row.point,
        "budget": row.budget,
        "seeds": len(row.seeds),
        "expected_seeds": len(row.expected),
        **flagged(cell, row.flags),
        "reasons": " | ".join(row.reasons),
    }
