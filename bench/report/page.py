"""The Markdown pages of a report: one per cell, and the index of all cells."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.aggregate import Row
from bench.report.cells import Cell, without_paths
from bench.report.figures import Plot
from bench.report.style import MOST_LINES
from bench.report.table import Table
from bench.report.text import escape, seeds_phrase
from bench.tune.history import Tuned

HEADINGS = {
    "accuracy": "Accuracy against cost",
    "ece": "Calibration against cost",
    "set_size": "Conformal inefficiency against cost",
}

LINES = (
    "Means over seeds: one line per method with a marker per budget; hollow markers lack seeds. Grey: static exits, "
    "numbered from 0; the last is the plain backbone. Dark dashes: the hull, what mixing static exits at random "
    "reaches at each budget. ★: the oracle. Error bars are 95 % t intervals, cut off where they would dwarf the "
    "differences between means; the data files have them whole."
)
PANELS = (
    "Means over seeds: one panel per method, with a marker per budget and the other methods in grey; hollow markers "
    "lack seeds. Dark dashes: the hull, what mixing static exits at random reaches at each budget. ★: the oracle. "
    "Bands are 95 % t intervals, cut off where they would dwarf the differences between means; the data files have "
    "them whole, and the static exits."
)


def cell_page(
    cell: Cell, rows: Sequence[Row], table: Table, drawn: Sequence[Plot], searches: Sequence[Tuned] = ()
) -> str:
    """Return the page of a cell: warnings, what is missing, leaderboard, figures, reasons of what failed."""
    seeds = sorted({int(s) for s in cell.records["seed"]})
    some = any(row.seeds for row in rows)
    counts = f"{len(cell.records)} records, {seeds_phrase(len(seeds))} ({', '.join(map(str, seeds))})"
    parts = [f"# {escape(cell.name)}", *(f"> **{escape(w)}.**" for w in cell.warnings), f"Made from {counts}."]
    parts += _gaps(rows)
    if not some:
        parts.append("**No operating point has a result yet, so there is nothing to compare and no figure.**")
    parts += ["## Leaderboard", table.markdown().rstrip()]
    for plot in drawn:
        parts += [
            f"## {HEADINGS[plot.name]}",
            f"![{HEADINGS[plot.name]}]({plot.name}.svg)",
            f"[SVG]({plot.name}.svg) · [PNG]({plot.name}.png) · [data]({plot.name}.csv)",
        ]
    if drawn:
        parts.append(LINES if len({row.method for row in rows if row.kind == "method"}) <= MOST_LINES else PANELS)
    parts += _searched(searches)
    parts += _reasons(rows)
    return "\n\n".join(parts) + "\n"


def _gaps(rows: Sequence[Row]) -> list[str]:
    """Say how complete the grid is; an infeasible operating point is an answer, not a gap."""
    methods = [row for row in rows if row.kind == "method"]
    if not methods:
        return ["There are only reference rows: no method has been run."]
    owed = sum(len(row.expected) for row in methods)
    infeasible = sum(row.infeasible for row in methods)
    have = sum(len(row.seeds) for row in methods) + infeasible
    what = f"{len(methods)} operating points × {seeds_phrase(len(methods[0].expected))}"
    note = f" Of these, {infeasible} cannot meet their budget (infeasible)." if infeasible else ""
    if have == owed:
        return [f"The grid is complete: {what}.{note}"]
    return [
        f"**The grid is incomplete: {have} of {owed} results** ({what}).{note} The notes column says what is missing."
    ]


def _searched(searches: Sequence[Tuned]) -> list[str]:
    """Say what each search kept, and link their page."""
    found = [s for s in sorted(searches, key=lambda s: s.subject.method) if s.history]
    if not found:
        return []
    lines = []
    for search in found:
        kept = {"tuned": "tuned values", "defaults": "its defaults", None: "nothing yet, the search is not finished"}
        reason = f": {escape(search.reason)}" if search.reason else ""
        lines.append(f"- {escape(search.subject.method)} keeps {kept[search.kept]}{reason}")
    return [
        "## Parameter searches",
        "\n".join(lines),
        "`bench run --tuned` uses what was kept. [All trials, their history and what mattered](search.md).",
    ]


def _reasons(rows: Sequence[Row]) -> list[str]:
    told = [(row, reason) for row in rows for reason in row.reasons]
    if not told:
        return []
    lines = [f"- {escape(row.method)}, {escape(row.point)}: {escape(reason)}" for row, reason in told]
    return ["## Why some have no result", "\n".join(lines)]


def index_page(cells: Sequence[tuple[Cell, bool]]) -> str:
    """Return the index: one row per cell with a link to its page where that exists."""
    parts = [
        "# Report",
        "Early-exit methods on frozen backbones. Cells differ in data, backbone or protocol and never share a table.",
    ]
    if not cells:
        return "\n\n".join([*parts, "**There are no records yet.** Make some with `bench run`."]) + "\n"
    head = ["Cell", "Methods", "Budgets", "Seeds", "Results", "Warnings"]
    lines = ["| " + " | ".join(head) + " |", "| --- | --- | --- | --: | --: | --- |"]
    for cell, there in cells:
        methods = cell.records[cell.records["kind"] == "method"]
        names = ", ".join(escape(without_paths(m)) for m in sorted(set(methods["method"]))) or "–"
        budgets = ", ".join(f"{b:g}" for b in sorted(set(methods["budget"].dropna()))) or "–"
        ok = f"{int((methods['status'] == 'ok').sum())} of {len(methods)}"
        link = f"[{escape(cell.name)}]({cell.folder}/leaderboard.md)" if there else f"{escape(cell.name)} (not built)"
        row = [link, names, budgets, str(cell.records["seed"].nunique()), ok, escape(", ".join(cell.flags)) or "–"]
        lines.append("| " + " | ".join(row) + " |")
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"
