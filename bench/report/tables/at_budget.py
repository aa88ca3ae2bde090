"""A table of scores: pages show one budget, data files have all budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.formats.table import Column, Highlight, Table
from bench.report.tables.words import FLAGS, caption, flagged, shown_budget
from bench.stats.flags import Flag

PLAIN = "plain backbone"
Judge = Callable[[Row], Mapping[str, Highlight]]


def scores_at_budgets(
    report: CellReport, name: str, title: str, columns: Sequence[Column], needed: str, judge: Judge | None = None
) -> Table | None:
    """Return a table with a row per method and budget: means of scores over seeds. None if no row has `needed`.

    The shown budget comes first, with methods in the order of the leaderboard and the plain backbone below them. The
    caller adds the caption. judge: returns the highlights of a row, by column.
    """
    cell = report.statistics
    budget = shown_budget(cell)
    if budget is None:
        return None
    held = {(row.method, row.budget): row for row in report.rows if row.kind == "method"}
    order = [budget, *sorted({b for _, b in held if b is not None and b != budget})]
    wanted = [held[m.label, b] for b in order for m in cell.methods if (m.label, b) in held]
    last = f"exit={len(report.cell.exit_names) - 1}"
    plain = [row for row in report.rows if (row.kind, row.method, row.point) == ("reference", "static", last)]
    at = sum(row.budget == budget for row in wanted)
    wanted[at:at] = plain
    if not any(row.estimate(needed) for row in wanted):
        return None
    shared = (Column("method", "Method"), Column("budget", "Budget", 2, data=True), Column("seeds", "Seeds", data=True))
    rows = [
        {
            **{c.key: row.estimate(c.key) for c in columns},
            "method": PLAIN if row.kind == "reference" else row.method,
            "budget": row.budget,
            "seeds": len(row.seeds),
            **flagged(cell, row.flags or ([Flag("note", "reference")] if row.kind == "reference" else [])),
        }
        for row in wanted
    ]
    highlights = {(i, key): h for i, row in enumerate(wanted) for key, h in (judge(row) if judge else {}).items()}
    there = [c for c in columns if any(row[c.key] is not None for row in rows)]
    return Table(
        name,
        f"{title} at budget {budget:g}",
        [*shared, *there, *FLAGS],
        rows,
        caption(cell),
        highlights,
        at + len(plain),
    )
