"""The leaderboard in a README, between markers that only its owner adds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from bench.report.formats import markdown
from bench.report.formats.table import Table
from bench.report.markers import BEGIN, BLOCK, END, marked
from bench.report.summary import CellSummary, Report
from bench.report.tables.leaderboard import leaderboard
from bench.report.text import escape, link, seeds_phrase
from bench.stats.flags import INCOMPARABLE

ROWS = 5
KEYS = ("rank", "method", "own", "nauc", "difference", "p_holm", "plain_difference", "plain_p_holm")


def updated(readme: Path, report: Report, out: Path) -> str:
    """Return the text of a README with an updated leaderboard between its markers; links point to `out`.

    Raises UserError if it cannot be read or has no markers.
    """
    text = marked(readme)
    root = Path(os.path.relpath(out, readme.parent)).as_posix()
    block = f"{BEGIN}\n{section(report, root)}{END}"
    return BLOCK.sub(lambda _: block, text, count=1)


def section(report: Report, root: str) -> str:
    """Return the first ROWS methods of every comparable setting, with links to their pages below `root`."""
    shown = [cell for cell in report.cells if not any(f.kind in INCOMPARABLE for f in cell.statistics.flags)]
    parts = [part for cell in shown for part in _cell(cell, root)]
    if not parts:
        return "\nThere are no valid results yet.\n\n"
    parts.append(
        "Own gain: accuracy of a method's own policies minus that of random mixtures of static exits at the same "
        "cost, mean over costs. NAUC with static exits: mean accuracy over costs along the hull of its policies and "
        "all static exits. Brackets are 95 % intervals. Rank: 95 % confidence interval; ●: may be the best. p: "
        "Holm-corrected. "
        f"{link('All tables, figures and captions', f'{root}/README.md')}."
    )
    return "\n" + "\n\n".join(parts) + "\n\n"


def _cell(cell: CellSummary, root: str) -> list[str]:
    found = cell.statistics
    table, count = leaderboard(found), len(found.methods)
    columns = [c for c in table.columns if c.key in KEYS]
    rows = [*table.rows[: min(ROWS, count)], *(r for r in table.rows[count:] if r["method"] == "static hull")]
    highlights = {key: h for key, h in table.highlights.items() if key[0] < min(ROWS, count)}
    short: Table = replace(table, columns=columns, rows=rows, highlights=highlights, caption="")
    first = f"the first {ROWS} of {count} methods" if count > ROWS else f"{count} method{'s' * (count != 1)}"
    about = "; ".join(str(flag) for flag in found.flags if flag.kind != "few seeds")
    baseline = f"; baseline {escape(found.baseline.label)}" if found.baseline else ""
    what = f"{first}, {seeds_phrase(len(found.seeds))}{baseline}{f'; {escape(about)}' if about else ''}"
    page = link(escape(cell.name), f"{root}/{cell.folder}/leaderboard.md")
    return [f"**{page}**: {what}", markdown.render(short).rstrip()]
