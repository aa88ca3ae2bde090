"""`bench show`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion
from bench.cli.options import PATH
from bench.cli.terminal import console, say, say_json, signs, table

if TYPE_CHECKING:
    from bench.report.formats.shown import Shown
    from bench.report.formats.table import Column
    from bench.report.summary import CellSummary
    from bench.stats.results import CellStatistics

WORDS = ("rank", "method", "flags")  # columns of text
NEEDED = 3  # rank, method and own gain: shown on every terminal
NAME = (12, 26)  # columns that the names of methods get at least, and as long as other columns want room
GAP = 2  # between columns


def show(
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING",
            help="DATASET/BACKBONE, or the beginning of either; all settings if left out.",
            autocompletion=completion.settings,
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Store to read, published or working (runs).", **PATH)] = Path(
        "results"
    ),
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show the leaderboard of a setting, or all settings with their leading methods, from stored records.

    Statistics that were not computed before are computed first, which may take a minute per setting, and kept in the
    cache folder.
    """
    from bench.report.stored import summaries

    found = summaries(results, setting, tell=_progress)
    if json_output:
        say_json([_about(cell) for cell in found] if setting is None else _about(found[0]) | _rows(found[0]))
    elif setting is None:
        for cell in found:
            _listed(cell)
        say(
            f"The leaderboard of one: bench show {found[0].folder}"
            + (f" --results {results}" * (results != Path("results")))
        )
    else:
        _leaderboard(found[0])


def _progress(line: str) -> None:
    if not line.endswith("unchanged"):
        say(line, error=True)


def _about(cell: CellSummary) -> dict[str, Any]:
    """Return a setting with its quality checks and its leading group for machines."""
    from bench.report.formats.data import plain as number
    from bench.stats.quality import failed

    found = cell.statistics
    leading = [
        {"method": m.label, "own": number(m.curve.own), "own_low": m.curve.own.low, "own_high": m.curve.own.high}
        for m in found.methods
        if m.leading
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


def _rows(cell: CellSummary) -> dict[str, Any]:
    """Return the leaderboard for machines: unscaled numbers, all columns."""
    from bench.report.formats.data import columns
    from bench.report.tables.board import board

    shown = board(cell.statistics)
    held = columns(shown)
    rows = [dict(zip(held, values, strict=True)) for values in zip(*held.values(), strict=True)]
    return _finite({"rows": rows, "caption": shown.caption})


def _finite(value: Any) -> Any:
    """Write infinite numbers as text, which JSON has none of."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _head(cell: CellSummary) -> list[str]:
    """Return the name of a setting, and what must be known of it before its numbers are read."""
    from bench.report.text import seeds_phrase
    from bench.stats.quality import failed

    found = cell.statistics
    unfit = failed(found.quality)
    quality = f"quality checks failed: {'; '.join(unfit)}" if unfit else "quality checks passed"
    count = f"{len(found.methods)} method{'s' * (len(found.methods) != 1)}, {seeds_phrase(len(found.seeds))}"
    flags = [str(flag) for flag in found.flags if flag.kind not in ("quality", "few seeds")]
    return [cell.name, "; ".join([f"{count}, {quality}", *flags])]


def _listed(cell: CellSummary) -> None:
    from bench.report.formats.shown import number
    from bench.report.tables.leaderboard import COLUMNS

    own = next(column for column in COLUMNS if column.key == "own")
    found = cell.statistics
    leading = [f"{m.label} {number(m.curve.own.value, own)}" for m in found.methods if m.leading]
    text = f"leading ({len(leading)}, own gain in points): {', '.join(leading)}"
    if not leading:
        first = f"{found.methods[0].label} {number(found.methods[0].curve.own.value, own)}" if found.methods else "none"
        text = f"no ranks; first by own gain: {first}"
    _, about = _head(cell)
    say(cell.folder)
    for line in (cell.name, about, text):
        _wrapped(line, "  ")
    say()


def _wrapped(text: str, indent: str = "") -> None:
    for line in textwrap.wrap(
        text, console().width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    ):
        say(signs(line))


def _leaderboard(cell: CellSummary) -> None:
    from bench.report.formats.shown import shown_rows
    from bench.report.tables.board import board

    made = board(cell.statistics)
    for line in _head(cell):
        _wrapped(line)
    say()
    rows = [[_text(entry, column) for entry, column in zip(row, made.visible, strict=True)] for row in shown_rows(made)]
    out = console()
    count, name, needed = _fitting(made.visible, rows, out.width)
    grid = table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for i, column in enumerate(made.visible[:count]):
        wide = name if column.key == "method" else _width(column, [row[i] for row in rows])
        words = column.key in WORDS
        title = "\n".join(textwrap.wrap(signs(column.title), wide, break_on_hyphens=False))
        grid.add_column(title, justify="left" if words else "right", width=wide, overflow="fold", no_wrap=not words)
    for row in rows:
        grid.add_row(*map(signs, row[:count]))
    shown, out.width = out.width, max(out.width, needed)  # a line may be too long, but no number is cut
    out.print(grid, crop=False)
    say()
    _wrapped(_caption(cell.statistics, [column.key for column in made.visible[:count]]))
    if hidden := [column.title for column in made.visible[count:]]:
        _wrapped(f"Left out at {shown} columns, see --json: {'; '.join(hidden)}.")


def _text(entry: Shown, column: Column) -> str:
    """Return an entry on one line; methods of the leading group have a mark before their names, which stay aligned."""
    from bench.report.formats.markdown import MARK
    from bench.report.formats.shown import LEADING, SIGNS

    mark = (f"{MARK} " if entry.highlight in LEADING else "  ") if column.key == "method" else ""
    return mark + " ".join(filter(None, [entry.text, SIGNS.get(entry.highlight or "", ""), entry.interval]))


def _width(column: Column, texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(*map(cell_len, column.title.split()), *map(cell_len, texts))


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> tuple[int, int, int]:
    """Return how many columns fit with all their numbers, how wide names of methods are, which wrap, and the sum."""
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
    """Return what these columns and their signs mean, in a few lines; docs/reports.md has more."""
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
            "Cost at −δ: least cost that keeps the backbone's accuracy minus δ points, ∞ if a seed never does."
        )
    return " ".join(filter(None, parts))
