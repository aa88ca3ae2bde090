"""The Markdown pages of a report: one per setting, and the index of all settings. They link only to files in git."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures import FigureFile, FigureSet
from bench.report.formats import markdown
from bench.report.formats.table import Table
from bench.report.summary import CellSummary, Report
from bench.report.tables.overall import left_out
from bench.report.text import escape, link, seeds_phrase
from bench.stats.quality import failed
from bench.stats.resample import BootstrapConfig
from bench.trials.folders import without_paths


def cell_page(report: CellReport, tables: Sequence[Table], figures: FigureSet, formats: Collection[str]) -> str:
    """Return the page of a setting: warnings, gaps, leaderboard, figures, tables, quality checks, reasons for gaps.

    formats: the formats of the other files of the report; the page shows PNGs and links to CSV files if there are any.
    """
    seeds = report.statistics.seeds
    counts = f"{len(report.records)} records, {seeds_phrase(len(seeds))} ({', '.join(map(str, seeds))})"
    unfit = failed(report.statistics.quality)
    told = [*warnings(report.cell), *([f"QUALITY check failed: {'; '.join(unfit)}"] if unfit else [])]
    parts = [f"# {escape(report.name)}", *(f"> **{escape(w)}.**" for w in told)]
    parts += [f"Made from {counts}.", *_gaps(report)]
    if not any(row.seeds for row in report.rows):
        parts.append("**No operating point has a result yet, so there is nothing to compare or to draw.**")
    read = [table for table in tables if table.shown != 0]
    parts += [part for table in read[:1] for part in table_parts(table, formats)]
    parts += [part for figure in figures for part in figure_parts(figure, formats)]
    parts += [part for table in read[1:] for part in table_parts(table, formats)]
    parts += [*_quality(report), *_left_out(figures), *_data(tables, formats), *_reasons(report)]
    return "\n\n".join(parts) + "\n"


def table_parts(table: Table, formats: Collection[str]) -> list[str]:
    """Return the heading, the table and the link to its data."""
    links = [_link(table)] if "csv" in formats else []
    return [f"## {escape(table.title)}", markdown.render(table).rstrip(), *links]


def figure_parts(figure: FigureFile, formats: Collection[str]) -> list[str]:
    """Return the heading, image and caption of a figure; an empty list if PNGs are not written."""
    if "png" not in formats:
        return []
    title = escape(figure.title)
    return [f"## {title}", "!" + link(title, f"figures/{figure.name}.png"), escape(figure.caption)]


def _link(table: Table) -> str:
    return link("CSV", f"tables/{table.name}.csv")


def _left_out(figures: FigureSet) -> list[str]:
    lines = [f"- {escape(figure.title)}: {escape(figure.reason)}" for figure in figures.left_out]
    return ["## Figures that could not be drawn", "\n".join(lines)] if lines else []


def _data(tables: Sequence[Table], formats: Collection[str]) -> list[str]:
    lines = [
        f"- {escape(table.title)}: {_link(table)}. {escape(table.caption)}"
        for table in tables
        if table.shown == 0 and "csv" in formats
    ]
    return ["## Data", "\n".join(lines)] if lines else []


def _gaps(report: CellReport) -> list[str]:
    """Describe how complete the grid is; an infeasible operating point is an answer, not a gap."""
    methods = [row for row in report.rows if row.kind == "method"]
    if not methods:
        return ["There are only reference rows: no method has been run."]
    wanted = sum(len(row.expected) for row in methods)
    infeasible = sum(flag.count for row in methods for flag in row.flags if flag.kind == "infeasible")
    have = sum(len(row.seeds) for row in methods) + infeasible
    what = f"{len(methods)} operating points × {seeds_phrase(len(report.statistics.seeds))}"
    note = f" Of these, {infeasible} cannot meet their budget (infeasible)." if infeasible else ""
    if have == wanted:
        return [f"The grid is complete: {what}.{note}"]
    return [f"**The grid is incomplete: {have} of {wanted} results** ({what}).{note} The flags show what is missing."]


def _quality(report: CellReport) -> list[str]:
    lines = [
        f"- {'**failed**' if check.passed is False else check.word}: {escape(check.name)} ({escape(check.found)})"
        for check in report.statistics.quality
    ]
    about = "A setting that fails a check is kept, but left out of averages over settings."
    return ["## Can this setting tell methods apart?", "\n".join(lines), about]


def _reasons(report: CellReport) -> list[str]:
    """Return every reason once, with the operating points that it holds for."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in report.rows:
        for reason in row.reasons:
            found.setdefault(reason, {}).setdefault(row.method, []).append(row.point)
    lines = []
    for reason, held in found.items():
        where = "; ".join(", ".join([who, *points]) for who, points in held.items())
        lines.append(f"- {escape(reason)}: {escape(where)}")
    return ["## Reasons for missing results", "\n".join(lines)] if lines else []


def index_page(report: Report, tables: Sequence[Table], figures: FigureSet, formats: Collection[str]) -> str:
    """Return the index: a row per setting with a link to its page, results across settings, and provenance."""
    parts = [
        "# Report",
        "Early-exit methods on frozen backbones. A setting is one dataset through one backbone under one protocol; "
        "scores of different settings are not comparable.",
        "This folder is written by `bench report`, which also makes SVG figures, LaTeX and Parquet tables, and a site "
        "with interactive plots and sortable tables (`site/index.html`). Git has only the Markdown, CSV and PNG files "
        "of the published report.",
    ]
    head = ["Setting", "Methods", "Budgets", "Seeds", "Results", "First by own gain", "Quality", "Flags"]
    lines = ["| " + " | ".join(head) + " |", "| --- | --: | --: | --: | --: | --- | --- | --- |"]
    lines += ["| " + " | ".join(_index_row(cell)) + " |" for cell in report.cells]
    parts.append("\n".join(lines))
    parts += [part for table in tables if table.shown != 0 for part in table_parts(table, formats)]
    if not tables:
        notes = [escape(note) for track in report.tracks for note in (track.across.note, left_out(track.across))]
        parts.append(" ".join(dict.fromkeys(filter(None, notes))))
    parts += [part for figure in figures for part in figure_parts(figure, formats)]
    return "\n\n".join([*parts, *_data(tables, formats), *_provenance(report)]) + "\n"


def _index_row(cell: CellSummary) -> list[str]:
    found = cell.statistics
    methods = [line for line in cell.lines if line.kind == "method"]
    budgets = {line.budget for line in methods if line.budget is not None}
    ok = sum(line.status == "ok" for line in methods)
    tops = [m for m in found.methods if m.leading]
    best = "–"
    if tops:
        more = f" (or {len(tops) - 1} other{'s' * (len(tops) > 2)})" if len(tops) > 1 else ""
        best = escape(without_paths(tops[0].label)) + more
    return [
        link(escape(cell.name), f"{cell.folder}/leaderboard.md"),
        str(len(found.methods)),
        str(len(budgets)),
        str(len(found.seeds)),
        f"{ok} of {len(methods)}",
        best,
        f"failed: {escape('; '.join(unfit))}" if (unfit := failed(found.quality)) else "passed",
        escape("; ".join(str(flag) for flag in found.flags if flag.kind != "quality")) or "–",
    ]


def _provenance(report: Report) -> list[str]:
    lines = [f"- {report.records} records. {bootstrap_phrase(report.bootstrap)}"]
    for key, values in report.provenance.items():
        if key.startswith("rescored."):
            continue
        several = len(values) > 1
        shown = ", ".join(f"{without_paths(v)} ({n})" if several else without_paths(v) for v, n in values.items())
        lines.append(f"- {escape(key)}: {escape(shown)}")
    return ["## Provenance", "\n".join(lines)]


def bootstrap_phrase(bootstrap: BootstrapConfig) -> str:
    """Return a sentence on the number of bootstrap draws."""
    return f"Intervals: {bootstrap.draws:,} bootstrap draws, {bootstrap.sample_draws:,} resamples of each test set."
