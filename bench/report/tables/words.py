"""Parts that several tables of a setting share: flags, captions, the shown budget."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.formats.table import Column, Highlight, Value
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics

FLAGS = (
    Column("flags", "Flags", note="gaps, infeasible budgets, collapsed policies and others; see docs/reports.md"),
    Column("setting_flags", "Flags", data=True),
)
SHOWN = 0.5  # tables with one budget show the one nearest to this
T_INTERVAL = "brackets are Student's 95 % intervals over seeds and held-out pools"
LEADERS = "Shaded or ●: the leading group, whose rank may be 1. Bold: significantly better than every other."


def joined(flags: Iterable[Flag]) -> str:
    """Return flags as one entry of a table."""
    return "; ".join(str(flag) for flag in flags)


def flagged(cell: CellStatistics, flags: Iterable[Flag]) -> dict[str, Value]:
    """Return the entries of the columns FLAGS."""
    return {"flags": joined(flags), "setting_flags": joined(cell.flags)}


def leaders(cell: CellStatistics) -> dict[tuple[int, str], Highlight]:
    """Return the highlights of the leading group for a table whose first rows are a setting's methods."""
    alone = {m.label for m in cell.methods if m.rank and m.rank.last == 1 and len(cell.methods) > 1}
    return {(i, "method"): "best" if m.label in alone else "leading" for i, m in enumerate(cell.methods) if m.leading}


def caption(cell: CellStatistics, *sentences: str) -> str:
    """Return a caption: the sentences, then the flags of the setting."""
    about = f"All numbers: {joined(cell.flags)}." if cell.flags else ""
    return " ".join(filter(None, [*sentences, about]))


def seeds(cell: CellStatistics) -> str:
    """Return the number of seeds as text: `3 seeds`."""
    count = len(cell.seeds)
    return f"{count} seed{'' if count == 1 else 's'}"


def budgets(cell: CellStatistics) -> list[float]:
    """Return the budgets of a setting in ascending order."""
    return [p.budget for p in cell.methods[0].points if p.budget is not None] if cell.methods else []


def shown_budget(cell: CellStatistics) -> float | None:
    """Return the budget that tables with one budget show; None if there are no budgets."""
    return min(budgets(cell), key=lambda b: (abs(b - SHOWN), b), default=None)
