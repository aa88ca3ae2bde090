"""`bench report`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.guard import DRIFT
from bench.cli.terminal import say, say_json

ALL = "md,csv,parquet,latex,svg,png,site"
IN_GIT = "md,csv,png"
STYLES = ("pages", "paper")


def report(
    stores: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[STORES]...",
            help="Stores to read, e.g. runs; the same as --results.",
            show_default="results, the published store",
            parser=o.path,
        ),
    ] = None,
    results: Annotated[
        list[Path] | None, o.option("--results", help="Store to read; repeatable.", default="results", **o.PATH)
    ] = None,
    older: Annotated[
        list[Path] | None, typer.Option("-o", "--output", hidden=True, help="Older name of --results.", **o.PATH)
    ] = None,
    against: Annotated[
        list[Path] | None,
        o.option(
            help="Published store whose records are shown beside those of STORES; STORES then defaults to runs.",
            default="none",
            **o.PATH,
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        o.option(
            help="Folder for the report.", default="reports for results, otherwise report/ in the first store", **o.PATH
        ),
    ] = None,
    only: Annotated[
        str | None,
        o.option(
            help="Write only the pages of this dataset or dataset/backbone, without index, site and README.",
            default="all settings",
            autocompletion=completion.settings,
        ),
    ] = None,
    formats: Annotated[
        str | None,
        o.option(
            "--format",
            help=f"Formats to write, comma-separated: {ALL}.",
            default="all",
            autocompletion=completion.several(*ALL.split(",")),
        ),
    ] = None,
    style: Annotated[
        str,
        o.chosen(
            help="paper: write only figures for a paper (single-column PDFs with 8 pt labels), to paper/ in the "
            "folder of the report.",
            valid=STYLES,
        ),
    ] = STYLES[0],
    readme: Annotated[
        Path | None,
        o.option(
            help="README whose leaderboard to update.", default="the one beside reports, if it has markers", **o.PATH
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help=f"Write nothing; list {IN_GIT} files that are out of date (exit code 3).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Rebuild all settings, also unchanged ones.")] = False,
    json_output: o.Json = False,
) -> None:
    """Write tables, figures and a site from stored records.

    Settings whose records did not change are not rebuilt.

    Exit code 3 with --check: some files are missing, out of date or left over.
    """
    from bench.report.build import build
    from bench.report.check import drift
    from bench.report.markers import own_readme
    from bench.report.request import is_published, parse_formats, request_of, target
    from bench.system.cpus import cpu_count

    stores = [*(stores or ()), *(results or ()), *(older or ())]
    default = not stores and not against
    read = stores or ([Path("runs")] if against else [Path("results")])
    out = reports or (Path("reports") if default else target(read[0]))
    tell = partial(say, error=json_output)
    if _paper(style, formats, check):
        from bench.report.paper import write

        written = write(read, out / "paper", only, tell)
        if json_output:
            say_json({"report": str(out / "paper"), "files": [str(path) for path in written]})
        return
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
        files = build(request, jobs=jobs, force=force, tell=tell)
        page = out / ("README.md" if only is None and "md" in request.formats else "")
        tell(f"Report: {page}")
        if json_output:
            say_json({"report": str(page), "files": [str(path) for path in files]})
        return
    found = drift(request, jobs=jobs, force=force)
    if json_output:
        say_json({"report": str(out), "drift": [{"file": str(file), "state": how} for file, how in found]})
    for file, how in found:
        tell(f"{how}: {file}")
    if found:
        tell(f"Files of the report that do not agree with the records: {len(found)}. Run `bench report` to rebuild it.")
        raise typer.Exit(DRIFT)
    tell(f"'{out}' agrees with the records.")


def _paper(style: str, formats: str | None, check: bool) -> bool:
    """Return whether the style is `paper`. Raises UserError for an unknown style or options that do not fit it."""
    from bench.errors import UserError, nearest

    if style not in STYLES:
        raise UserError(f"There is no style '{style}'.{nearest(style, STYLES)} Valid: {', '.join(STYLES)}.")
    if style == "paper" and (formats or check):
        raise UserError("--style paper writes only PDF figures: leave --format and --check out.")
    return style == "paper"
