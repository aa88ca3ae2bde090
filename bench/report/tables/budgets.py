"""Two tables over the budgets of a setting: accuracy at equal cost, and realised cost."""

from __future__ import annotations

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.tables.words import FLAGS, LEADERS, budgets, caption, flagged, leaders, seeds
from bench.stats.adherence import TOLERANCE
from bench.stats.compare import MIN_SEEDS
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics, CurveStatistics


def accuracy_table(cell: CellStatistics) -> Table:
    """Return own gain and accuracy at a cost equal to each budget: a row per method, then static hull and oracle."""
    at = budgets(cell)
    rows: list[dict[str, Value]] = [
        {"method": m.label, **_accuracies(m.curve), **flagged(cell, m.flags)} for m in cell.methods
    ]
    highlights = leaders(cell)
    for i, method in enumerate(cell.methods):
        if method.difference is not None:
            highlights |= {(i, f"accuracy@{b:g}"): "above" for b in method.difference.wins()}
            highlights |= {(i, f"accuracy@{b:g}"): "below" for b in method.difference.losses()}
    for title, curve in (("static hull", cell.static), ("oracle", cell.oracle)):
        if curve is not None:
            rows.append({"method": title, **_accuracies(curve), **flagged(cell, [Flag("note", "reference")])})
    columns = [
        Column("method", "Method"),
        Column(
            "own", "Own gain, points", 2, 100, True, True, note="its own curve minus the static hull, mean over costs"
        ),
        Column("nauc", "NAUC with static exits, %", 2, 100, note="mean accuracy of the hull with static exits"),
    ]
    for b in at:
        columns.append(Column(f"accuracy@{b:g}", f"at {b:g}", 2, 100, interval=True, note=f"accuracy at cost {b:g}, %"))
        columns += [Column(f"{key}@{b:g}", f"{key} at {b:g}", 2, 100, data=True) for key in ("gain", "regret")]
    signs = "▲ ▼: significantly above or below it (simultaneous 95 % band over all budgets of a row)."
    text = caption(
        cell,
        f"At each budget: test accuracy in % on a method's own curve (points chosen on {cell.split}) where the cost "
        f"equals the budget, a share of the plain backbone's; mean over {seeds(cell)}, brackets are 95 % bootstrap "
        "intervals. Own gain: mean over all costs of its own curve minus the static hull.",
        f"Baseline: {cell.baseline.label}. {signs}" if cell.baseline else "There is no baseline.",
        LEADERS if len(cell.seeds) >= MIN_SEEDS else "",
        "–: below the first point of the curve.",
    )
    return Table("budgets", "Accuracy at each budget", [*columns, *FLAGS], rows, text, highlights)


def _accuracies(curve: CurveStatistics) -> dict[str, Value]:
    found: dict[str, Value] = {"own": curve.own, "nauc": curve.nauc}
    return found | {
        f"{key}@{b.budget:g}": value
        for b in curve.budgets
        for key, value in (("accuracy", b.accuracy), ("gain", b.gain), ("regret", b.regret))
    }


def cost_table(cell: CellStatistics) -> Table:
    """Return the realised cost of each method's own policy for each budget, and how well it meets its budgets."""
    rows: list[dict[str, Value]] = []
    highlights: dict[tuple[int, str], Highlight] = {}
    for i, method in enumerate(cell.methods):
        a = method.adherence
        rows.append(
            {
                "method": method.label,
                **{f"cost@{p.budget:g}": p.cost if p.cost.seeds else None for p in method.points},
                **{f"policy_accuracy@{p.budget:g}": p.accuracy if p.accuracy.seeds else None for p in method.points},
                "gap": a.gap,
                "gap_absolute": a.gap_absolute,
                "utilisation": a.utilisation,
                "violations": a.violations,
                "count": a.count,
                **flagged(cell, method.flags),
            }
        )
        over = [p for p in method.points if p.adherence.violations > 0]
        highlights |= {(i, f"cost@{p.budget:g}"): "above" for p in over}
    columns = [
        Column("method", "Method"),
        *(Column(f"cost@{b:g}", f"for {b:g}", 3, interval=True) for b in budgets(cell)),
        *(Column(f"policy_accuracy@{b:g}", f"accuracy for {b:g}", 2, 100, data=True) for b in budgets(cell)),
        Column("gap", "Gap, %", 1, 100, signed=True, note="mean of (cost − budget) / budget"),
        Column("gap_absolute", "|Gap|, %", 1, 100, note="mean of |cost − budget| / budget"),
        Column("utilisation", "Utilisation, %", 1, 100, data=True),
        Column("violations", "Violations, %", 1, 100, note="share of points that overspend by more than 1 %"),
        Column("count", "Points", note="operating points with a result, over all seeds"),
        *FLAGS,
    ]
    text = caption(
        cell,
        "Realised cost on test of a method's own policy for each budget, both as shares of the plain backbone's cost, "
        f"heads and gates included; mean over {seeds(cell)}, brackets are 95 % bootstrap intervals. Policies meet "
        "their budget on val.",
        f"▲: some seed spends over {100 * TOLERANCE:g} % more than its budget; violations: the share of such points.",
        "Gap: mean of (cost − budget) / budget over all points with a result. –: no result.",
    )
    return Table("costs", "Realised cost", columns, rows, text, highlights)
