"""The leaderboard in a README, between markers that only its owner sets."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from bench.errors import UserError
from bench.report.context import CellReport, Report
from bench.report.formats.table import Table
from bench.report.tables.leaderboard import leaderboard
from bench.report.tables.overall import counted
from bench.report.text import escape, seeds_phrase

BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"
ROWS = 5
KEYS = ("rank", "method", "nauc", "gain", "difference", "p_holm")


def read(readme: Path) -> str:
    """Return the text of a README with its own line ends. Raises UserError where it cannot be read."""
    try:
        return readme.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{readme}' cannot be read ({error}).") from None


def has_markers(text: str) -> bool:
    """Whether a text holds both markers, in order."""
    return re.search(f"{re.escape(BEGIN)}.*?{re.escape(END)}", text, re.DOTALL) is not None


def updated(text: str, report: Report, readme: Path, out: Path) -> str:
    """Return the README's text with what stands between the markers made anew; links lead from it to `out`."""
    root = Path(os.path.relpath(out, readme.parent)).as_posix()
    block = f"{BEGIN}\n{section(report, root)}{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, count=1, flags=re.DOTALL)


def section(report: Report, root: str) -> str:
    """Return the first ROWS methods of every cell that counts, with links to their pages below `root`."""
    parts = [part for cell in counted(report) for part in _cell(cell, root)]
    if not parts:
        return "\nThere are no results that count yet.\n\n"
    parts.append(
        "NAUC: mean accuracy over costs, along the hull of a method's operating points and the static exits. Over "
        "static hull: what that gains over randomly mixed static exits. Brackets are 95 % intervals; ranks show ties. "
        f"[All tables, figures and captions]({root}/README.md)."
    )
    return "\n" + "\n\n".join(parts) + "\n\n"


def _cell(cell: CellReport, root: str) -> list[str]:
    table = leaderboard(cell)
    count, found = len(cell.statistics.methods), cell.statistics
    columns = [c for c in table.columns if c.key in KEYS]
    rows = [*table.rows[: min(ROWS, count)], *(r for r in table.rows[count:] if r["method"] == "static hull")]
    marks = {key: mark for key, mark in table.marks.items() if key[0] < min(ROWS, count)}
    short: Table = replace(table, columns=columns, rows=rows, marks=marks, caption="")
    first = f"the first {ROWS} of {count} methods" if count > ROWS else f"{count} method{'s' * (count != 1)}"
    about = "; ".join(str(mark) for mark in found.marks.cell if mark.kind != "few seeds")
    baseline = f"; baseline {escape(found.baseline.label)}" if found.baseline else ""
    told = f"{first}, {seeds_phrase(len(found.seeds))}{baseline}{f'; {escape(about)}' if about else ''}"
    return [f"**[{escape(cell.name)}]({root}/{cell.cell.folder}/leaderboard.md)**: {told}", short.markdown().rstrip()]


def own_readme(out: Path) -> Path | None:
    """Return the README beside the folder of reports, None unless it has the markers."""
    readme = out.resolve().parent / "README.md"
    return readme if readme.is_file() and has_markers(read(readme)) else None
