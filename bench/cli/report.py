"""`bench report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.guard import DRIFT

ALL = "md,csv,parquet,latex,html,svg,png,site"


def report(
    results: Annotated[Path, typer.Option("-o", "--output", help="Results folder to read.")] = Path("results"),
    reports: Annotated[Path, typer.Option(help="Folder that the report is written to.")] = Path("reports"),
    only: Annotated[
        str | None, typer.Option(help="Only the pages of this dataset, or dataset/backbone; no index, site, README.")
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="What to write, with commas between.")] = ALL,
    readme: Annotated[
        Path | None,
        typer.Option(help="README whose leaderboard to update; unless named, that beside the reports, if it has one."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list files that differ from the records (exit code 3).")
    ] = False,
) -> None:
    """Write tables, figures and site from the stored records alone.

    Exit code 3 with --check: some files are missing, stale or not what the records say.
    """
    from bench.report.build import build
    from bench.report.check import drift
    from bench.report.files import parse_formats
    from bench.report.readme import own_readme

    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = parse_formats(formats)
    target = readme or own_readme(reports)
    if not check:
        for path in build(results, reports, only=only, formats=wanted, readme=target, jobs=jobs):
            print(path)
        return
    found = drift(results, reports, only=only, formats=wanted, readme=target, jobs=jobs)
    for path, how in found:
        print(f"{how}: {path}")
    if found:
        count = f"{len(found)} file{'s' if len(found) > 1 else ''}"
        print(f"{count} of the report do not agree with the records. Run `bench report` to write it anew.")
        raise typer.Exit(DRIFT)
    print(f"'{reports}' agrees with the records.")
