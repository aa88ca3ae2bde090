"""The Markdown pages of a report: one per cell, and the index of all cells."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench.report.cells import without_paths
from bench.report.context import CellReport, Report
from bench.report.figures import FigureFile, FigureSet
from bench.report.formats.table import Table
from bench.report.tables.overall import left_out
from bench.report.text import escape, seeds_phrase
from bench.stats.resample import Effort

TABLE_FORMS = {"csv": "CSV", "parquet": "Parquet", "tex": "LaTeX", "html": "HTML"}


def cell_page(report: CellReport, tables: Sequence[Table], figures: FigureSet, endings: Collection[str]) -> str:
    """Return the page of a cell: warnings, gaps, leaderboard, figures, the other tables, reasons of what failed.

    endings: of the files that are written beside it (`csv`, `svg`, …), to which it links.
    """
    cell, seeds = report.cell, report.statistics.seeds
    counts = f"{len(report.records)} records, {seeds_phrase(len(seeds))} ({', '.join(map(str, seeds))})"
    parts = [f"# {escape(report.name)}", *(f"> **{escape(w)}.**" for w in cell.warnings), f"Made from {counts}."]
    parts += _gaps(report)
    if not any(row.seeds for row in report.rows):
        parts.append("**No operating point has a result yet, so there is nothing to compare and no figure.**")
    read = [table for table in tables if table.shown != 0]
    parts += [part for table in read[:1] for part in table_parts(table, endings)]
    parts += [part for figure in figures for part in figure_parts(figure, endings)]
    parts += [part for table in read[1:] for part in table_parts(table, endings)]
    parts += [*_left_out(figures), *_data(tables, endings), *_reasons(report)]
    return "\n\n".join(parts) + "\n"


def table_parts(table: Table, endings: Collection[str]) -> list[str]:
    """Return heading, table and links to its other forms."""
    links = _table_links(table, endings)
    return [f"## {escape(table.title)}", table.markdown().rstrip(), *([links] if links else [])]


def figure_parts(figure: FigureFile, endings: Collection[str]) -> list[str]:
    """Return heading, picture, caption and links; nothing where neither picture is written."""
    there = [e for e in ("svg", "png", "csv") if e in endings and f"{figure.name}.{e}" in figure.files]
    pictures = [e for e in there if e != "csv"]
    if not pictures:
        return []
    title, path = escape(figure.title), f"figures/{figure.name}"
    links = " · ".join(f"[{'data' if e == 'csv' else e.upper()}]({path}.{e})" for e in there)
    return [f"## {title}", f"![{title}]({path}.{pictures[0]})", escape(figure.caption), links]


def _table_links(table: Table, endings: Collection[str]) -> str:
    forms = {e: text for e, text in TABLE_FORMS.items() if e in endings and (table.shown != 0 or e in DATA_FORMS)}
    return " · ".join(f"[{text}](tables/{table.name}.{ending})" for ending, text in forms.items())


DATA_FORMS = ("csv", "parquet")


def _left_out(figures: FigureSet) -> list[str]:
    lines = [f"- {escape(figure.title)}: {escape(figure.reason)}" for figure in figures.left_out]
    return ["## Figures that could not be drawn", "\n".join(lines)] if lines else []


def _data(tables: Sequence[Table], endings: Collection[str]) -> list[str]:
    lines = [
        f"- {escape(table.title)}: {links}. {escape(table.caption)}"
        for table in tables
        if table.shown == 0 and (links := _table_links(table, endings))
    ]
    return ["## Data", "\n".join(lines)] if lines else []


def _gaps(report: CellReport) -> list[str]:
    """Say how complete the grid is; an infeasible operating point is an answer, not a gap."""
    methods = [row for row in report.rows if row.kind == "method"]
    if not methods:
        return ["There are only reference rows: no method has been run."]
    owed = sum(len(row.expected) for row in methods)
    infeasible = sum(mark.count for row in methods for mark in row.marks if mark.kind == "infeasible")
    have = sum(len(row.seeds) for row in methods) + infeasible
    what = f"{len(methods)} operating points × {seeds_phrase(len(report.statistics.seeds))}"
    note = f" Of these, {infeasible} cannot meet their budget (infeasible)." if infeasible else ""
    if have == owed:
        return [f"The grid is complete: {what}.{note}"]
    return [f"**The grid is incomplete: {have} of {owed} results** ({what}).{note} The marks say what is missing."]


def _reasons(report: CellReport) -> list[str]:
    told = [f"- {escape(row.method)}, {escape(row.point)}: {escape(r)}" for row in report.rows for r in row.reasons]
    return ["## Why some have no result", "\n".join(told)] if told else []


def index_page(
    report: Report, tables: Sequence[Table], figures: FigureSet, endings: Collection[str], *, site: bool
) -> str:
    """Return the index: one row per cell with a link to its page, what holds across cells, and what it is made from."""
    parts = [
        "# Report",
        "Early-exit methods on frozen backbones. Cells differ in data, backbone or protocol and never share a table.",
    ]
    if not report.cells:
        return "\n\n".join([*parts, "**There are no records yet.** Make some with `bench run`."]) + "\n"
    if site:
        parts.append("[The same as a site](site/index.html), with plots to point at and tables to sort.")
    head = ["Cell", "Methods", "Budgets", "Seeds", "Results", "First by NAUC", "Marks"]
    lines = ["| " + " | ".join(head) + " |", "| --- | --: | --: | --: | --: | --- | --- |"]
    lines += ["| " + " | ".join(_index_row(cell)) + " |" for cell in report.cells]
    parts.append("\n".join(lines))
    parts += [part for table in tables if table.shown != 0 for part in table_parts(table, endings)]
    if not tables:
        parts.append(" ".join(filter(None, [escape(report.across.note), escape(left_out(report.across))])))
    parts += [part for figure in figures for part in figure_parts(figure, endings)]
    return "\n\n".join([*parts, *_data(tables, endings), *_made_from(report)]) + "\n"


def _index_row(report: CellReport) -> list[str]:
    cell, found = report.cell, report.statistics
    methods = [r for r in report.records if r.point.kind == "method"]
    budgets = {r.point.budget for r in methods if r.point.budget is not None}
    ok = sum(r.status == "ok" for r in methods)
    tops = [m for m in found.methods if m.rank is not None and m.rank.first == 1]
    best = "–"
    if tops:
        more = f" (or {len(tops) - 1} other{'s' * (len(tops) > 2)})" if len(tops) > 1 else ""
        best = escape(without_paths(tops[0].label)) + more
    return [
        f"[{escape(report.name)}]({cell.folder}/leaderboard.md)",
        str(len(found.methods)),
        str(len(budgets)),
        str(len(found.seeds)),
        f"{ok} of {len(methods)}",
        best,
        escape("; ".join(map(str, found.marks.cell))) or "–",
    ]


def _made_from(report: Report) -> list[str]:
    lines = [f"- {sum(len(cell.records) for cell in report.cells)} records. {effort_phrase(report.effort)}"]
    for key, values in report.provenance.items():
        if key.startswith("rescored."):
            continue
        told = ", ".join(
            f"{without_paths(v)} ({n})" if len(values) > 1 else without_paths(v) for v, n in values.items()
        )
        lines.append(f"- {escape(key)}: {escape(told)}")
    return ["## Made from", "\n".join(lines)]


def effort_phrase(effort: Effort) -> str:
    """Say how much the bootstrap draws."""
    return f"Intervals: {effort.draws:,} bootstrap draws, {effort.sample_draws:,} resamples of each test set."
