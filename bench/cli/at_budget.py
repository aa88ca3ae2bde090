"""The methods of a setting at one budget, in the terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.cli import leaderboard as board
from bench.cli.terminal import say

if TYPE_CHECKING:
    from bench.report.summary import CellSummary

EPSILON = 1e-9


def within(cell: CellSummary, asked: float) -> float:
    """Return the largest published budget that is not above `asked`; raise UserError if there is none."""
    from bench.errors import UserError
    from bench.report.tables.words import budgets

    known = budgets(cell.statistics)
    found = [budget for budget in known if budget <= asked + EPSILON]
    if not found:
        valid = f"Its budgets: {', '.join(f'{b:g}' for b in known)}." if known else "It has no budgets."
        raise UserError(f"{cell.folder} has no budget within {asked:g}. {valid}")
    return max(found)


def as_json(cell: CellSummary, asked: float) -> dict[str, Any]:
    """Return a setting and its methods at a budget as JSON values: unscaled, all columns."""
    from bench.report.tables.one_budget import one_budget

    budget = within(cell, asked)
    about = {key: value for key, value in board.about(cell).items() if key != "leading"}
    return about | {"budget": budget, **board.rows(one_budget(cell, budget))}


def show(cell: CellSummary, asked: float) -> None:
    """Print the methods of a setting at the largest budget that is not above `asked`."""
    from bench.report.tables.one_budget import one_budget

    budget = within(cell, asked)
    made = one_budget(cell, budget)
    for line in board.head(cell):
        board.wrapped(line)
    if budget < asked - EPSILON:
        board.wrapped(f"The largest budget within {asked:g} that was measured is {budget:g}.")
    say()
    count = board.grid(made)
    say()
    board.wrapped(made.caption)
    board.left_out(made, count)
