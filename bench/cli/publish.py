"""`bench publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import PATH
from bench.cli.terminal import say


def publish(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[SETTING]…", help="dataset or dataset/backbone; all if left out.")
    ] = None,
    store: Annotated[Path, typer.Option("-o", "--output", help="Working store to read.", **PATH)] = Path("runs"),
    to: Annotated[Path, typer.Option(help="Published store to write.", **PATH)] = Path("results"),
) -> None:
    """Write the records of a working store to the published store: two Parquet files per setting.

    Records are merged with those published before: the newest record of an operating point counts, and no published
    point is lost. Smoke runs (--limit) and points that failed are not published.
    """
    from bench.trials.folders import names_of
    from bench.trials.publish import CHANGES
    from bench.trials.publish import publish as write

    found = write(store, to, settings or ())
    names = names_of([*found.smoke, *found.settings])
    for cell in found.smoke:
        say(f"Not published: {names[cell]} is a smoke run on {cell.limit} {cell.modality}s per split.")
    for cell, merged in found.settings.items():
        say(f"{names[cell]}, {cell.size}: {len(merged.records)} operating points.")
        for word, meaning in CHANGES.items():
            if merged.counts[word]:
                say(f"  {merged.counts[word]} {meaning}")
    for path in found.paths:
        say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    if not found.paths:
        say("Nothing was published.")
