"""The leaderboard of a setting in one table with accuracies and the plain backbone, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.report.formats.table import Column, Table, Value
from bench.report.tables.at_budget import PLAIN
from bench.report.tables.budgets import accuracy_table
from bench.report.tables.leaderboard import leaderboard
from bench.report.tables.words import budgets, flagged, shown_budget
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics

FIRST = ("rank", "method", "own")
COMPARED = ("difference", "p_holm", "plain_difference", "plain_p_holm", "nauc", "gain")
LAST = ("flags", "setting_flags")
WHOLE = "accuracy@1"


def board(cell: CellStatistics) -> Table:
    """Return the leaderboard with the accuracy at each budget, and the plain backbone below the static hull.

    The most important columns come first, so that a narrow display can leave out the last ones.
    """
    table, wide = leaderboard(cell), accuracy_table(cell)
    rows: list[Mapping[str, Value]] = [{**more, **row} for more, row in zip(wide.rows, table.rows, strict=True)]
    if cell.exits:
        last, below = cell.exits[-1], len(cell.methods) + (cell.static is not None)
        about = flagged(cell, [Flag("note", "reference")])
        rows.insert(below, {"method": PLAIN, WHOLE: last.accuracy, "cost@0": last.cost, **about})
    known = {c.key: _titled(c) for c in table.columns}
    at = {f"accuracy@{b:g}": b for b in [*budgets(cell), *([1.0] if cell.exits else [])]}
    shown = {WHOLE, f"accuracy@{shown_budget(cell):g}"}
    for key, budget in at.items():
        title = f"Accuracy at {budget:g}, %"
        known[key] = Column(key, title, 2, 100, data=key not in shown, note=f"on its own curve, at cost {budget:g}")
    costs = [key for key in known if key.startswith("cost@")]
    order = dict.fromkeys([*FIRST, *(k for k in at if k in shown), *costs, *COMPARED, *known])
    columns = [known[key] for key in (*(k for k in order if k not in LAST), *LAST) if key in known]
    return replace(table, columns=columns, rows=rows, highlights={**wide.highlights, **table.highlights})


def _titled(column: Column) -> Column:
    """Return a column with a title that does not depend on the column before it."""
    return replace(column, title=f"Cost {column.title}") if column.title.startswith("at −") else column
