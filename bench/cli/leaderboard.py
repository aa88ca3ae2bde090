"""The leaderboard of a setting, in the terminal and as JSON: own gain comes first, and numbers are never truncated."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.cli.terminal import console, say, signs, table
from bench.system.text import counted

if TYPE_CHECKING:
    from bench.report.formats.shown import Shown
    from bench.report.formats.table import Column, Table
    from bench.report.summary import CellSummary
    from bench.stats.quality import Check
    from bench.stats.results import CellStatistics

WORDS = ("rank", "method", "flags")  # columns of text
NEEDED = 3  # rank, method and own gain: shown on every terminal
NAME = (12, 26)  # width of method names: the minimum, and the width that they keep while more columns are added
GAP = 2  # between columns
TIE = 0.0005  # in accuracy: an exit that is better than the last one by less than this counts as equal


def about(cell: CellSummary) -> dict[str, Any]:
    """Return a setting with its quality checks and its leading group as JSON values."""
    from bench.report.formats.data import plain as number
    from bench.stats.quality import failed

    found = cell.statistics
    leading = [
        {"method": m.label, "own": number(own), "own_low": number(own.low), "own_high": number(own.high)}
        for m in found.methods
        if m.leading and (own := m.curve.own)
    ]
    return _finite(
        {
            "setting": cell.folder,
            "name": cell.name,
            "methods": len(found.methods),
            "seeds": list(found.seeds),
            "passed": not failed(found.quality),
            "quality": [{"check": c.name, "found": c.found, "outcome": c.word} for c in found.quality],
            "flags": [str(flag) for flag in found.flags],
            "baseline": found.baseline.label if found.baseline else None,
            "leading": leading,
        }
    )


def as_json(cell: CellSummary, methods: Collection[str] | None = None) -> dict[str, Any]:
    """Return a setting and its leaderboard as JSON values: unscaled, all columns. methods: only these labels."""
    return about(cell) | rows(_board(cell, methods))


def rows(shown: Table) -> dict[str, Any]:
    """Return the rows and the caption of a table as JSON values."""
    from bench.report.formats.data import columns

    held = columns(shown)
    values = [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)]
    found: dict[str, Any] = _finite({"rows": values, "caption": shown.caption})
    return found


def _board(cell: CellSummary, methods: Collection[str] | None) -> Table:
    """Return the table; if `methods` is given, only the methods with these labels are in it."""
    from bench.report.tables.board import board

    made = board(cell.statistics)
    if methods is None:
        return made
    gone = {m.label for m in cell.statistics.methods} - set(methods)
    kept = [i for i, row in enumerate(made.rows) if row["method"] not in gone]
    at = {old: new for new, old in enumerate(kept)}
    highlights = {(at[i], key): value for (i, key), value in made.highlights.items() if i in at}
    return replace(made, rows=[made.rows[i] for i in kept], highlights=highlights)


def _finite(value: Any) -> Any:
    """Replace infinite numbers by text, because JSON does not have them."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def head(cell: CellSummary, methods: Collection[str] | None = None) -> list[str]:
    """Return the name of a setting, and a line on its methods, seeds, quality checks and flags.

    methods: count only the methods with these labels.
    """
    found = cell.statistics
    shown = len(found.methods) if methods is None else sum(m.label in methods for m in found.methods)
    about = f"{counted(shown, 'method')}, {counted(len(found.seeds), 'seed')}"
    flags = [str(flag) for flag in found.flags if flag.kind not in ("quality", "few seeds")]
    return [cell.name, "; ".join([f"{about}, {_quality(found.quality)}", *flags])]


def _quality(checks: Sequence[Check]) -> str:
    from bench.stats.quality import failed

    if unfit := failed(checks):
        return f"quality checks not met: {'; '.join(unfit)}"
    judged = sum(check.passed is not None for check in checks)
    most = "" if judged == len(checks) else f"{judged} of {len(checks)} "
    return f"{most}quality checks passed" + (", the others not judged" if most else "")


def wrapped(text: str, indent: str = "") -> None:
    """Print a text in lines that fit the width of the terminal."""
    for line in textwrap.wrap(
        text, console().width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    ):
        say(signs(line))


def show(cell: CellSummary, methods: Collection[str] | None = None) -> None:
    """Print the leaderboard with as many columns as fit the terminal. methods: only the methods with these labels."""
    made = _board(cell, methods)
    for line in head(cell, methods):
        wrapped(line)
    say()
    count = grid(made)
    say()
    wrapped(_caption(cell.statistics, [column.key for column in made.visible[:count]]))
    left_out(made, count)
    if line := overthinking(cell.statistics):
        wrapped(line)


def grid(made: Table) -> int:
    """Print a table with as many columns as fit the terminal, and return their number."""
    from bench.report.formats.shown import shown_rows

    lines = [
        [_text(entry, column) for entry, column in zip(row, made.visible, strict=True)] for row in shown_rows(made)
    ]
    out = console()
    count, name, needed = _fitting(made.visible, lines, out.width)
    shown = table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for i, column in enumerate(made.visible[:count]):
        wide = name if column.key == "method" else _width(column, [row[i] for row in lines])
        words = column.key in WORDS
        title = "\n".join(textwrap.wrap(signs(column.title), wide, break_on_hyphens=False))
        shown.add_column(title, justify="left" if words else "right", width=wide, overflow="fold", no_wrap=not words)
    for row in lines:
        shown.add_row(*map(signs, row[:count]))
    out.width = max(out.width, needed)  # a line may be too long, but no number is cut
    out.print(shown, crop=False)
    return count


def left_out(made: Table, count: int) -> None:
    """Name the columns of a table that did not fit the terminal. count: the number of those that did."""
    if hidden := [column.title for column in made.visible[count:]]:
        wrapped(f"Left out at {console().width} columns, see --json: {'; '.join(hidden)}.")


def overthinking(cell: CellStatistics) -> str:
    """Return a sentence on why accuracy falls with cost; empty if the last exit is the most accurate one."""
    if not cell.exits:
        return ""
    best, last = max(cell.exits, key=lambda e: e.accuracy.value), cell.exits[-1]
    if best.accuracy.value <= last.accuracy.value + TIE:
        return ""
    return (
        f"Why accuracy falls at high costs: the last exit ({100 * last.accuracy.value:.1f} %) is less accurate than an "
        f"exit at cost {best.cost.value:.2f} ({100 * best.accuracy.value:.1f} %). This is called overthinking. A "
        "network that is trained on this dataset may avoid it: see `bench finetune`."
    )


def _text(entry: Shown, column: Column) -> str:
    """Return an entry on one line; a mark, or blanks of the same width, comes before the names of methods."""
    from bench.report.formats.markdown import MARK
    from bench.report.formats.shown import LEADING, SIGNS

    mark = (f"{MARK} " if entry.highlight in LEADING else "  ") if column.key == "method" else ""
    return mark + " ".join(filter(None, [entry.text, SIGNS.get(entry.highlight or "", ""), entry.interval]))


def _width(column: Column, texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(*map(cell_len, column.title.split()), *map(cell_len, texts))


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> tuple[int, int, int]:
    """Return the number of columns that fit, the width of method names (which wrap), and the total width."""
    wide = [_width(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    at = next(i for i, column in enumerate(columns) if column.key == "method")
    name, least = wide[at], min(wide[at], NAME[1])
    count = NEEDED
    while count < len(columns) and sum(wide[: count + 1]) - name + least + GAP * count <= width:
        count += 1
    others = sum(wide[:count]) - name + GAP * (count - 1)
    given = max(min(name, width - others), NAME[0])
    return count, given, others + given


def _caption(cell: CellStatistics, keys: Sequence[str]) -> str:
    """Return a short explanation of these columns and their signs; docs/reports.md has the long one."""
    from bench.report.formats.markdown import MARK
    from bench.stats.compare import MIN_SEEDS

    parts = ["Own gain: accuracy of a method's own policies minus that of the static hull, mean over costs."]
    parts.append("Brackets: 95 % intervals.")
    ranks = len(cell.seeds) >= MIN_SEEDS
    parts.append(
        f"{MARK}: leading group, whose rank may be 1." if ranks else f"Fewer than {MIN_SEEDS} seeds: no ranks."
    )
    if any(key.startswith("accuracy@") for key in keys):
        parts.append("Accuracy: of its own policies at a cost; 1 is that of the plain backbone.")
        above = f"▲ ▼: significantly above or below the baseline, {cell.baseline.label}." if cell.baseline else ""
        parts.append(above)
    if any(key.startswith("cost@") for key in keys):
        parts.append(
            "Cost at −δ: lowest cost that keeps the backbone's accuracy minus δ points; ∞ if a seed never keeps it."
        )
    return " ".join(filter(None, parts))
