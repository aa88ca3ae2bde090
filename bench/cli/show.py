"""`bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion
from bench.cli import leaderboard as board
from bench.cli import options as o
from bench.cli.terminal import say, say_json

if TYPE_CHECKING:
    from bench.report.summary import CellSummary


def show(
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING",
            help="DATASET/BACKBONE, one of the two, or the beginning of either; all settings if left out.",
            autocompletion=completion.settings,
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Store to read, published or working (runs).", **o.PATH)] = Path(
        "results"
    ),
    budget: Annotated[
        float | None,
        o.option(
            help="Show the methods of SETTING at its largest budget up to this share of the plain backbone's MACs.",
            default="the leaderboard over all costs",
        ),
    ] = None,
    json_output: o.Json = False,
) -> None:
    """Show the leaderboard of a setting, or all settings with their leading methods, from stored records.

    Statistics that neither the report nor the cache folder has are computed
    first, which may take a minute per setting.
    """
    from bench.report.stored import summaries

    if budget is not None:
        _at_budget(setting, results, budget, json_output)
        return
    found = summaries(results, setting, tell=_progress)
    if json_output:
        say_json([board.about(cell) for cell in found] if setting is None else board.as_json(found[0]))
    elif setting is None:
        for cell in found:
            _listed(cell)
        say(
            f"To see the leaderboard of one: bench show {found[0].folder}"
            + (f" --results {results}" * (results != Path("results")))
        )
    else:
        board.show(found[0])


def _at_budget(setting: str | None, results: Path, budget: float, json_output: bool) -> None:
    from bench.cli import at_budget
    from bench.errors import UserError
    from bench.report.stored import summaries

    if setting is None:
        raise UserError("--budget needs a setting: bench show SETTING --budget B. `bench show` lists all settings.")
    (cell,) = summaries(results, setting, tell=_progress)
    if json_output:
        say_json(at_budget.as_json(cell, budget))
    else:
        at_budget.show(cell, budget)


def _progress(line: str) -> None:
    if not line.endswith("unchanged"):
        say(line, error=True)


def _listed(cell: CellSummary) -> None:
    from bench.report.formats.shown import number
    from bench.report.tables.leaderboard import COLUMNS

    own = next(column for column in COLUMNS if column.key == "own")
    found = cell.statistics
    leading = [f"{m.label} {number(m.curve.own.value, own)}" for m in found.methods if m.leading]
    text = f"leading ({len(leading)}, own gain in points): {', '.join(leading)}"
    if not leading:
        first = f"{found.methods[0].label} {number(found.methods[0].curve.own.value, own)}" if found.methods else "none"
        text = f"no ranks; first by own gain: {first}"
    _, about = board.head(cell)
    say(cell.folder)
    for line in (cell.name, about, text):
        board.wrapped(line, "  ")
    say()
