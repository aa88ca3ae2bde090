"""`bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.guard import DRIFT
from bench.cli.options import PATH, path
from bench.cli.terminal import say

ALL = "md,csv,parquet,latex,svg,png,site"
IN_GIT = "md,csv,png"


def report(
    stores: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[STORES]...",
            help="Stores to read, e.g. runs; without any, the published store results.",
            show_default=False,
            parser=path,
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", help="A store to read, as -o names it elsewhere; the same as STORES.", **PATH),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Published store whose records are shown beside those of STORES (runs, unless given).", **PATH
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report; unless given, reports for results, else the first store's report/.", **PATH
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only the pages of this dataset, or dataset/backbone; no index, site, README.")
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option("--format", help=f"What to write, separated by commas: {ALL}.", show_default="all"),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(
            help="README whose leaderboard to update; unless given, that beside reports, if it has one.", **PATH
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help=f"Write nothing; list {IN_GIT} files that are out of date (exit code 3).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Make settings anew even if nothing changed.")] = False,
) -> None:
    """Write tables, figures and a site from stored records.

    Settings whose records did not change are not made again.

    Exit code 3 with --check: some files are missing, out of date or left over.
    """
    from bench.report.build import build
    from bench.report.check import drift
    from bench.report.markers import own_readme
    from bench.report.request import is_published, parse_formats, request_of, target
    from bench.system.cpus import cpu_count

    stores = [*(stores or ()), *(output or ())]
    default = not stores and not against
    read = stores or ([Path("runs")] if against else [Path("results")])
    out = reports or (Path("reports") if default else target(read[0]))
    published = not against and (default or all(map(is_published, read)))
    request = request_of(
        read,
        out,
        against=against or (),
        only=only,
        formats=parse_formats(formats or (IN_GIT if check else ALL)),
        readme=readme or (own_readme(out) if published else None),
    )
    jobs = cpu_count()
    if not check:
        build(request, jobs=jobs, force=force, tell=say)
        say(f"Report: {out / ('README.md' if only is None and 'md' in request.formats else '')}")
        return
    found = drift(request, jobs=jobs, force=force)
    for file, how in found:
        say(f"{how}: {file}")
    if found:
        count = f"{len(found)} file{'s' if len(found) > 1 else ''}"
        say(f"{count} of the report do not agree with the records. Run `bench report` to write it again.")
        raise typer.Exit(DRIFT)
    say(f"'{out}' agrees with the records.")
