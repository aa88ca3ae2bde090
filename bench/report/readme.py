"""The leaderboard in a README, between markers that users add."""

from __future__ import annotations

import os
from pathlib import Path

from bench.report.formats.shown import Shown, shown
from bench.report.formats.table import Value
from bench.report.markers import BEGIN, BLOCK, END, marked
from bench.report.summary import CellSummary, Report
from bench.report.tables.leaderboard import COLUMNS
from bench.report.text import escape, link
from bench.stats.baseline import PLAIN
from bench.stats.flags import INCOMPARABLE, Flag
from bench.stats.results import MethodStatistics

FIRST = 5
OWN = next(column for column in COLUMNS if column.key == "own")


def updated(readme: Path, report: Report, out: Path) -> str:
    """Return the text of a README with an updated leaderboard between its markers; links point to `out`.

    Raises UserError if it cannot be read or has no markers.
    """
    text = marked(readme)
    root = Path(os.path.relpath(out, readme.parent)).as_posix()
    block = f"{BEGIN}\n{section(report, root)}{END}"
    return BLOCK.sub(lambda _: block, text, count=1)


def section(report: Report, root: str) -> str:
    """Return a row per comparable setting: its first methods and their own gains, with links to pages below `root`."""
    kept = [cell for cell in report.cells if not any(f.kind in INCOMPARABLE for f in cell.statistics.flags)]
    if not kept:
        return "\nThere are no valid results yet.\n\n"
    heading = ["Setting", f"The first {FIRST} methods", escape(PLAIN)]
    rows = [heading, ["---"] * len(heading), *(_row(cell, root) for cell in kept)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return (
        f"\n{table}\n\nOwn gain in points: accuracy of a method's own policies "
        "minus that of random mixtures of static exits at the same cost, mean over costs, with 95 % intervals. ●: may "
        f"be the best; ▲: significantly better than one threshold for all exits ({PLAIN}). "
        f"{link('All tables and figures', f'{root}/README.md')}.\n\n"
    )


def _row(cell: CellSummary, root: str) -> list[str]:
    found = cell.statistics
    plain = next((m for m in found.methods if m.label == found.plain), None)
    about = [_short(flag) for flag in found.flags if flag.kind != "few seeds"]
    page = link(f"{escape(cell.dataset)}<br>{escape(cell.backbone)}", f"{root}/{cell.folder}/leaderboard.md")
    return [
        "<br>".join([page, *(f"<sub>{escape(text)}</sub>" for text in about)]),
        "<br>".join(_method(method) for method in found.methods[:FIRST]),
        _gain(plain.curve.own if plain else None),
    ]


def _method(method: MethodStatistics) -> str:
    better = method.against_plain is not None and method.against_plain.verdict == "significantly better"
    return f"{'● ' if method.leading else ''}{escape(method.label)}{' ▲' if better else ''} {_gain(method.curve.own)}"


def _gain(own: Value) -> str:
    value: Shown = shown(own, OWN)
    interval = escape(value.interval).replace(" ", "&nbsp;")
    return f"{value.text}&nbsp;<sub>{interval}</sub>" if interval else value.text


def _short(flag: Flag) -> str:
    return "quality check not met" if flag.kind == "quality" else str(flag)
