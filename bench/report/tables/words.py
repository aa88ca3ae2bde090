"""Words that several tables of a cell share: marks, captions, the budget that is shown."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.formats.table import Column, Value
from bench.stats.marks import Mark
from bench.stats.results import CellStatistics

MARKS = (
    Column("marks", "Marks", note="gaps, infeasible budgets, collapsed policies and the like; docs/reports.md"),
    Column("cell_marks", "Marks of the cell", data=True),
)
SHOWN = 0.5  # tables that have room for one budget show the one nearest to this
T_INTERVAL = "brackets are Student's 95 % intervals over seeds"


def joined(marks: Iterable[Mark]) -> str:
    """Write marks in one cell of a table."""
    return "; ".join(str(mark) for mark in marks)


def marked(cell: CellStatistics, marks: Iterable[Mark]) -> dict[str, Value]:
    """Return the cells under MARKS."""
    return {"marks": joined(marks), "cell_marks": joined(cell.marks.cell)}


def caption(cell: CellStatistics, *sentences: str) -> str:
    """Join the sentences of a caption; what concerns every number of the cell comes last."""
    about = f"All numbers: {joined(cell.marks.cell)}." if cell.marks.cell else ""
    return " ".join(filter(None, [*sentences, about]))


def seeds(cell: CellStatistics) -> str:
    """`3 seeds`."""
    count = len(cell.seeds)
    return f"{count} seed{'' if count == 1 else 's'}"


def budgets(cell: CellStatistics) -> list[float]:
    """Return the budgets of a cell, ascending, as its methods' points have them."""
    return [p.budget for p in cell.methods[0].points if p.budget is not None] if cell.methods else []


def shown_budget(cell: CellStatistics) -> float | None:
    """Return the budget that stands for all where a table has room for one; None where there are no budgets."""
    return min(budgets(cell), key=lambda b: (abs(b - SHOWN), b), default=None)
