"""`bench submit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion
from bench.cli.guard import FAILED
from bench.cli.options import PATH, BankDir, option
from bench.cli.terminal import say
from bench.system.text import counted, file_size

BOARD = Path("results")


def submit(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SETTING]…",
            help="dataset or dataset/backbone; all if left out.",
            autocompletion=completion.of_runs,
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Working store to read.", **PATH)] = Path("runs"),
    older: Annotated[
        Path | None, typer.Option("-o", "--output", hidden=True, help="Older name of --results.", **PATH)
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder of the submission.", **PATH)] = Path("submission"),
    board: Annotated[
        Path | None,
        option(help="Published store that the rows would be added to.", default="results, if it exists", **PATH),
    ] = None,
    bank_dir: BankDir = None,
) -> None:
    """Check the records of a working store and pack complete settings into a folder for the board.

    It checks schema, protocol, bank, grid, versions, provenance and outcomes.
    Exit code 0: all settings were packed. 1: settings with problems were left out,
    and the problems are printed.
    """
    from bench.trials.folders import names_of
    from bench.trials.submission import submit as pack

    against = board or (BOARD if BOARD.is_dir() else None)
    made = pack(older or results, to, settings or (), against, bank_dir)
    names = names_of(one.cell for one in made.settings)
    for one in made.settings:
        title = f"{names[one.cell]}, {one.cell.size}"
        say(f"{title}: {'not submitted.' if one.problems else counted(len(one.records), 'operating point') + '.'}")
        for problem in one.problems:
            say(f"  {problem[0].upper()}{problem[1:]}.")
        for note in one.notes:
            say(f"  Note: {note}.")
    for path in made.paths:
        say(f"{path} ({file_size(path.stat().st_size)})")
    say(f"Next: open a pull request with {to}/ (see CONTRIBUTING.md)." if made.paths else "Nothing was submitted.")
    if any(one.problems for one in made.settings):
        raise typer.Exit(FAILED)
