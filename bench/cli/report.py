"""`bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Option("-o", "--output", help="Results folder to read.")] = Path("results"),
    reports: Annotated[Path, typer.Option(help="Folder that the report is written to.")] = Path("reports"),
    only: Annotated[str | None, typer.Option(help="Only this dataset, or dataset/backbone.")] = None,
) -> None:
    """Write the leaderboard and the figures from the stored records alone."""
    from bench import load_records
    from bench.errors import UserError
    from bench.report.build import build
    from bench.tune.history import FOLDER, searches

    records = load_records(results)
    if records.empty:
        raise UserError(f"The results folder '{results}' holds no records. Run `bench run` first.")
    for path in build(records, reports, only=only, searches=searches(results / FOLDER)):
        print(path)
