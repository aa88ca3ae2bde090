"""The points of one line of the plot, with intervals and hover texts."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.site.words import gap, percent
from bench.stats.bootstrap import Estimate
from bench.system.text import counted

ROUNDING = 1e-6  # shorter halves of error bars are rounding errors
Point = tuple[float, float, Estimate, str]  # cost, score, its estimate, hover text


@dataclass(frozen=True)
class Score:
    """A view of the plot: a metric of the records, its axis and the format of its numbers."""

    key: str
    title: str
    axis: str
    scale: float = 1.0
    digits: int = 3
    log: bool = False
    target: float | None = None  # the ideal value, drawn as a line


def label(text: str) -> str:
    """Escape markup for plotly's texts; plotly shows entities as characters."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def points(report: CellReport, rows: Iterable[Row], score: Score) -> list[Point]:
    """Return the points of rows that have a score, by ascending cost."""
    found = []
    known = _known(report) if score.key == "accuracy" else {}
    for row in rows:
        value = known.get((row.method, row.point)) or row.estimate(score.key)
        cost = row.estimate("macs_fraction")
        if value is None or cost is None or not math.isfinite(value.value):
            continue
        found.append((cost.value, value.value, value, _hover(row, value, cost, score)))
    return sorted(found, key=lambda p: p[0])


def gains(report: CellReport, name: str) -> list[Point]:
    """Return the gain of a method's own curve over the static hull, at costs equal to the budgets."""
    found: list[Point] = []
    for method in report.statistics.methods:
        if method.label == name:
            for at in method.curve.budgets:
                if math.isfinite(at.gain.value):
                    where = f"at {percent(at.budget)} of the backbone’s MACs"
                    text = f"<b>{label(name)}</b><br>gain {gap(at.gain)}<br>{where}"
                    found.append((at.budget, at.gain.value, at.gain, text))
    return found


def _known(report: CellReport) -> Mapping[tuple[str, str], Estimate]:
    """Return accuracies with the two-level intervals of the statistics, which also cover test samples."""
    cell = report.statistics
    known = {(m.label, p.name): p.accuracy for m in cell.methods for p in m.points}
    known |= {("static", p.name): p.accuracy for p in cell.exits}
    return {key: value for key, value in known.items() if math.isfinite(value.value)}


def _hover(row: Row, value: Estimate, cost: Estimate, score: Score) -> str:
    name = row.method if row.kind == "method" else f"{row.method} {row.point}" if row.method == "static" else row.method
    shown = [f"{v * score.scale:.{score.digits}f}" for v in (value.value, value.low, value.high)]
    ends = f" [{shown[1]}, {shown[2]}]" if value.known else ""
    lines = [
        f"<b>{label(name)}</b>",
        *([f"budget {row.budget:g}"] if row.budget is not None else []),
        f"{score.title.lower()} {shown[0]}{ends}",
        f"cost {cost.value:.3f} of the backbone’s MACs",
        counted(len(row.seeds), "seed") + ("" if row.complete else f" of {len(row.expected)}"),
        *(label(str(flag)) for flag in row.flags),
    ]
    return "<br>".join(lines)


def trace(held: Sequence[Point], score: Score) -> dict[str, Any]:
    """Return the points of a line as plotly needs them: x, y, hover texts, and halves of error bars if known."""
    scale = score.scale
    known = [p[2] for p in held]
    made: dict[str, Any] = {
        "x": [_short(p[0]) for p in held],
        "y": [_short(p[1] * scale) for p in held],
        "text": [p[3] for p in held],
    }
    if any(e.known for e in known):
        made["up"] = [_length((e.high - e.value) * scale) if e.known else 0 for e in known]
        made["down"] = [_length((e.value - e.low) * scale) if e.known else 0 for e in known]
    if len(set(made["text"])) == 1 and len(held) > 1:
        made["text"] = made["text"][:1]
    return made


def _length(value: float) -> float | None:
    """Return the length of half an error bar; rounding errors become 0, because they would set the range of an axis."""
    return _short(value) if value > ROUNDING else 0


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
