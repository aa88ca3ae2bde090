"""The data of a setting's interactive plot: every score against cost, in the colours and markers of the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.aggregate import Row
from bench.report.context import CellReport
from bench.report.site.traces import Point, Score, gains, label, points, trace
from bench.report.style import REFERENCE, Look
from bench.stats.bootstrap import UNKNOWN

SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross"}
SHOWN = 5  # methods that a plot shows at first, besides the baseline and the references
PX = 3  # pixels of a dash per unit of the figures' line width


SCORES = (
    Score("gain", "Own gain at each cost", "own curve minus the static hull, points", 100, 2, target=0.0),
    Score("accuracy", "Accuracy", "accuracy on test, %", 100, 2),
    Score("gain_random", "Gain over random exits", "points above random exits with the same shares", 100, 2),
    Score("ece_mass15", "Calibration error", "ECE, % (15 bins of equal mass; lower is better)", 100, 2),
    Score("nll", "Negative log-likelihood", "NLL, nats (lower is better)"),
    Score("brier", "Brier score", "Brier score (lower is better)"),
    Score("set_size_lac@0.05", "Conformal set size", "LAC set size at α = 0.05 (lower is better)", digits=2, log=True),
    Score("coverage_lac@0.05", "Conformal coverage", "LAC coverage at α = 0.05, %", 100, 2, target=95.0),
    Score("aurc", "Selective risk", "AURC, % (lower is better)", 100, 2),
    Score("accuracy_few", "Accuracy, few-shot classes", "accuracy, % (classes with < 20 training images)", 100, 2),
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """One line of the plot and of its legend."""

    name: str
    colour: str  # '': the colour of text
    symbol: str
    dash: str
    line: bool
    shown: bool
    reference: str = ""  # name of the reference whose rows it shows; '': a method


def plot(report: CellReport) -> dict[str, Any]:
    """Return the series and, for each score that a method has, their points; text is escaped for plotly's labels."""
    lines = series(report)
    views = [view for score in SCORES if (view := _view(report, score, lines))]
    return {
        "series": [
            {
                "name": label(s.name),
                "colour": s.colour,
                "symbol": s.symbol,
                "dash": s.dash,
                "line": s.line,
            }
            for s in lines
        ],
        "views": views,
    }


def series(report: CellReport) -> list[Series]:
    """Return the methods in the order of the leaderboard, then the references."""
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
    """Return plotly's dash pattern for a dash pattern of the figures."""
    if isinstance(pattern, str):
        return {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}.get(pattern, "solid")
    return ",".join(f"{PX * step:g}px" for step in pattern[1])


def _view(report: CellReport, score: Score, lines: Sequence[Series]) -> dict[str, Any] | None:
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        rows.setdefault((row.kind, row.method), []).append(row)
    traces, methods = [], 0
    for index, line in enumerate(lines):
        held = _held(report, line, rows, score)
        if held:
            traces.append({"series": index, **trace(held, score)})
            methods += not line.reference
    known = {"key": score.key, "title": score.title, "axis": score.axis, "log": score.log, "target": score.target}
    return known | {"traces": traces} if methods else None


def _held(report: CellReport, line: Series, rows: Mapping[tuple[str, str], list[Row]], score: Score) -> list[Point]:
    if line.reference == "hull":
        static = report.statistics.static
        told = "static hull: the best random mixture of two exits"
        return [(x, y, UNKNOWN, told) for x, y in static.line] if static and score.key == "accuracy" else []
    if score.key == "gain":
        return [] if line.reference else gains(report, line.name)
    key = ("reference", line.reference) if line.reference else ("method", line.name)
    return points(report, rows.get(key, []), score)
