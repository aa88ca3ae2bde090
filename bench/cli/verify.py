"""`bench verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED
from bench.cli.terminal import say


def verify(
    records: Annotated[
        list[Path],
        typer.Argument(metavar="RECORD…", help="Record files, or folders: a store or a submission.", parser=o.path),
    ],
    sample: Annotated[int, typer.Option(min=1, help="Number of operating points to draw from the folders.")] = 6,
    draw: Annotated[int | None, o.option(help="Seed of the sample.", default="a new sample each time")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest accepted difference of a score, relative if the score is above 1.")
    ] = 0.002,
    plugin: o.Plugin = None,
    bank_dir: o.BankDir = None,
    device: o.Device = None,
) -> None:
    """Compute a sample of stored operating points again on this machine and compare their scores.

    Points whose scores agree are flagged as verified in verified.json beside the
    records; nothing else sets this flag. Exit code 0: all points agree. 1: some
    differ by more than the tolerance, or failed.
    """
    from bench.api.verify import verify as compute

    if plugin:
        o.run_config(None, {"plugin": plugin})
    made = []
    for one in compute(records, sample, draw=draw, tolerance=tolerance, bank_dir=bank_dir, device=device or "auto"):
        made.append(one)
        word = "verified" if one.verified else "NOT verified"
        say(f"{one.title}: {word}, largest difference {one.difference:.2g} ({one.score})")
        if one.again.status != one.record.status:
            say(f"  The record is {one.record.status}; here it is {one.again.status}: {one.again.reason}")
    largest = max(made, key=lambda one: one.difference)
    say(
        f"{sum(one.verified for one in made)} of {len(made)} operating points agree within {tolerance:g}; the largest "
        f"difference is {largest.difference:.2g}, of {largest.score}."
    )
    if not all(one.verified for one in made):
        raise typer.Exit(FAILED)
