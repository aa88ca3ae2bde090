"""The data of a cell's interactive plot: every score against cost, in the colours and markers of the figures."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.site.words import count, gap, percent
from bench.report.style import REFERENCE, Look
from bench.stats.bootstrap import UNKNOWN, Estimate

SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
SHOWN = 5  # methods that a plot begins with, besides the baseline and the references
Point = tuple[float, float, Estimate, str]  # cost, score, its estimate, what hovering tells
PX = 3  # pixels of a dash per unit of the figures' line width


@dataclass(frozen=True)
class Score:
    """What one view of the plot shows: a metric of the records, its axis and how its numbers are written."""

    key: str
    title: str
    axis: str
    scale: float = 1.0
    digits: int = 3
    log: bool = False
    target: float | None = None  # a line that the score should keep to


SCORES = (
    Score("accuracy", "Accuracy", "accuracy on test, %", 100, 2),
    Score("gain", "Gain over the static hull", "accuracy less the static hull’s at that cost, points", 100, 2, target=0.0),
    Score("gain_random", "Gain over random exits", "accuracy less that of the same shares dealt at random, points", 100, 2),
    Score("ece_mass15", "Calibration error", "ECE, % (15 bins of equal mass; lower is better)", 100, 2),
    Score("nll", "Negative log-likelihood", "NLL, nats (lower is better)"),
    Score("brier", "Brier score", "Brier score (lower is better)"),
    Score("set_size_lac@0.05", "Conformal set size", "LAC set size at α = 0.05, classes (lower is better)", 1, 2, log=True),
    Score("coverage_lac@0.05", "Conformal coverage", "LAC coverage at α = 0.05, %", 100, 2, target=95.0),
    Score("aurc", "Selective risk", "AURC, % (lower is better)", 100, 2),
    Score("accuracy_few", "Accuracy, few-shot classes", "accuracy on classes with < 20 training images, %", 100, 2),
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """One line of the plot and of its legend."""

    name: str
    colour: str  # '' is the colour of text
    symbol: str
    dash: str
    line: bool
    shown: bool
    reference: str = ""  # whose rows it shows, where it is no method


def plot(report: CellReport) -> dict[str, Any]:
    """Return series and, per score that any method has, their points; text is escaped for plotly's labels."""
    lines = series(report)
    views = [view for score in SCORES if (view := _view(report, score, lines))]
    return {
        "series": [
            {"name": label(s.name), "colour": s.colour, "symbol": s.symbol, "dash": s.dash, "line": s.line, "shown": s.shown}
            for s in lines
        ],
        "views": views,
    }


def series(report: CellReport) -> list[Series]:
    """Return methods in the order of the leaderboard, then what they are measured against."""
    cell = report.statistics
    leaders = {m.label for m in cell.methods[:SHOWN]}
    if cell.baseline:
        leaders.add(cell.baseline.label)
    found = [_of(m.label, report.looks[m.label], m.label in leaders) for m in cell.methods]
    if cell.exits:
        found.append(Series("static exits", REFERENCE, "circle-open", "solid", False, True, "static"))
    if cell.static:
        found.append(Series("static hull", "", "", "6px,3px", True, True, "hull"))
    if any(row.method == "oracle" and row.kind == "reference" for row in report.rows):
        found.append(Series("oracle", "", "star", "solid", False, False, "oracle"))
    return found


def _of(name: str, look: Look, shown: bool) -> Series:
    return Series(name, look.colour, SYMBOLS.get(look.marker, "circle"), dash(look.dash), True, shown)


def dash(pattern: Any) -> str:
    """Turn the figures' dash pattern into plotly's."""
    if isinstance(pattern, str):
        return {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}.get(pattern, "solid")
    return ",".join(f"{PX * step:g}px" for step in pattern[1])


def label(text: str) -> str:
    """Escape what plotly would take for markup in its own texts; it shows entities as the characters they stand for."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def _view(report: CellReport, score: Score, lines: Sequence[Series]) -> dict[str, Any] | None:
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        rows.setdefault((row.kind, row.method), []).append(row)
    traces, methods = [], 0
    for index, line in enumerate(lines):
        held = _held(report, line, rows, score)
        if held:
            traces.append({"series": index, **_trace(held, score)})
            methods += not line.reference
    known = {"key": score.key, "title": score.title, "axis": score.axis, "log": score.log, "target": score.target}
    return known | {"traces": traces} if methods else None


def _held(report: CellReport, line: Series, rows: Mapping[tuple[str, str], list[Row]], score: Score) -> list[Point]:
    if line.reference == "hull":
        static = report.statistics.static
        told = "static hull: the best random mixture of two exits"
        return [(x, y, UNKNOWN, told) for x, y in static.line] if static and score.key == "accuracy" else []
    if score.key == "gain":
        return [] if line.reference else _gains(report, line.name)
    key = ("reference", line.reference) if line.reference else ("method", line.name)
    return _points(report, rows.get(key, []), score)


def _points(report: CellReport, rows: Iterable[Row], score: Score) -> list[Point]:
    found = []
    known = _known(report) if score.key == "accuracy" else {}
    for row in rows:
        value = known.get((row.method, row.point)) or row.estimate(score.key)
        cost = row.estimate("macs_fraction")
        if value is None or cost is None or not math.isfinite(value.value):
            continue
        found.append((cost.value, value.value, value, _hover(row, value, cost, score)))
    return sorted(found, key=lambda p: p[0])


def _gains(report: CellReport, name: str) -> list[Point]:
    """Return the gain of a method's val-chosen hull over the static hull, at costs equal to the budgets."""
    found: list[Point] = []
    for method in report.statistics.methods:
        if method.label == name:
            for at in method.curve.budgets:
                if math.isfinite(at.gain.value):
                    text = f"<b>{label(name)}</b><br>gain {gap(at.gain)}<br>at {percent(at.budget)} of the backbone’s MACs"
                    found.append((at.budget, at.gain.value, at.gain, text))
    return found


def _known(report: CellReport) -> Mapping[tuple[str, str], Estimate]:
    """Accuracies with the two-level intervals of the statistics, which hold test samples too."""
    cell = report.statistics
    known = {(m.label, p.name): p.accuracy for m in cell.methods for p in m.points}
    known |= {("static", p.name): p.accuracy for p in cell.exits}
    return {key: value for key, value in known.items() if math.isfinite(value.value)}


def _hover(row: Row, value: Estimate, cost: Estimate, score: Score) -> str:
    name = row.method if row.kind == "method" else f"{row.method} {row.point}" if row.method == "static" else row.method
    ends = f" [{value.low * score.scale:.{score.digits}f}, {value.high * score.scale:.{score.digits}f}]" if value.known else ""
    lines = [
        f"<b>{label(name)}</b>",
        *([f"budget {row.budget:g}"] if row.budget is not None else []),
        f"{score.title.lower()} {value.value * score.scale:.{score.digits}f}{ends}",
        f"cost {cost.value:.3f} of the backbone’s MACs",
        count(len(row.seeds), "seed") + ("" if row.complete else f" of {len(row.expected)}"),
        *(label(flag) for flag in row.flags),
    ]
    return "<br>".join(lines)


def _trace(held: Sequence[Point], score: Score) -> dict[str, Any]:
    scale = score.scale
    known = [p[2] for p in held]
    trace: dict[str, Any] = {
        "x": [_short(p[0]) for p in held],
        "y": [_short(p[1] * scale) for p in held],
        "text": [p[3] for p in held],
    }
    if any(e.known for e in known):
        trace["up"] = [_short((e.high - e.value) * scale) if e.known else 0 for e in known]
        trace["down"] = [_short((e.value - e.low) * scale) if e.known else 0 for e in known]
    if len(set(trace["text"])) == 1 and len(held) > 1:
        trace["text"] = trace["text"][:1]
    return trace


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
