"""Scores against cost: all methods on one pair of axes with labels beside their lines, or a small panel for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures import grid, lines
from bench.report.figures.canvas import fit, sheet
from bench.report.figures.labels import SIZE, Label, beside, room
from bench.report.figures.lines import Line, Reference
from bench.report.figures.points import cost_label
from bench.report.style import settings

BEST = 5  # methods that a figure of many puts forward, besides the baseline
BANDS = 4  # methods whose bands can still be notes apart on one pair of axes


@dataclass(frozen=True)
class Chart:
    """What a figure of scores against cost is drawn from.

    log: where the largest value is many times the least. focus: show where methods have policies; references may lie
    outside of that, and `aside` says where they are. bands: draw them. others: methods in grey behind the lines.
    """

    report: CellReport
    title: str
    ylabel: str
    lines: Sequence[Line]
    references: Sequence[Reference] = ()
    keys: Sequence[str] = ()
    log: bool = False
    focus: bool = False
    bands: bool = True
    aside: str = ""
    others: Sequence[Line] = ()

    def highlighting(self, names: Sequence[str]) -> Chart:
        """Return the chart with the lines of these methods, in this order, and all others in grey."""
        held = {line.name: line for line in self.lines}
        behind = tuple(line for line in self.lines if line.name not in names)
        return replace(self, lines=[held[name] for name in names], others=behind)


def one(chart: Chart) -> Figure:
    """Draw all methods on one pair of axes, their names beside the ends of their lines."""
    report = chart.report
    with mpl.rc_context(settings()):
        names = fit([line.name for line in chart.lines], 2.6, SIZE)
        right = room([*names, *(r.name for r in chart.references)])
        left, height, width = 0.72, 3.9, 9.2
        page = sheet(
            chart.title, report.name, width=width, body=height + 0.65, keys=[*chart.keys, chart.aside],
            warnings=warnings(report.cell),
        )  # fmt: skip
        axes = page.axes(left, 0.52, width - left - right, height)
        short = dict(zip((line.name for line in chart.lines), names, strict=True))
        beside(axes, [replace(label, text=short.get(label.text, label.text)) for label in draw(chart, axes)])
        return page.figure


def draw(chart: Chart, axes: Axes) -> list[Label]:
    """Draw all methods and references on a pair of axes and name these; return a label for each line that is seen."""
    ranges(chart).apply(axes)
    low, high = axes.get_ylim()
    found = []
    if chart.others:
        lines.others(axes, chart.others)
    for drawn in chart.references:
        lines.reference(axes, drawn, small=False)
        if low <= drawn.data["y"].iloc[-1] <= high:
            found.append(lines.label(drawn.name, drawn.data, drawn.style))
    strength = (0.16 if len(chart.lines) <= BANDS else 0.08) if chart.bands else 0.0
    for line in chart.lines:
        look = chart.report.looks[line.name]
        lines.draw(axes, line, look, band=strength)
        found.append(lines.label(line.name, line.path, lines.sample(look)))
    axes.set_xlabel(cost_label(chart.report))
    axes.set_ylabel(chart.ylabel)
    return found


def foremost(report: CellReport) -> list[str]:
    """Return the few complete methods with the largest own gain, and the baseline."""
    found = [m.label for m in report.statistics.methods if m.complete][:BEST]
    baseline = report.statistics.baseline
    return [*found, baseline.label] if baseline and baseline.label not in found else found


def panels(chart: Chart) -> Figure:
    """Draw a small panel for each method on common axes, the other methods behind it in grey."""
    report = chart.report
    with mpl.rc_context(settings()):
        keys = [*chart.keys, "grey lines: the other methods", *(f"{r.key}: {r.name}" for r in chart.references)]
        by_name = {line.name: line for line in chart.lines}
        drawn = grid.panels(
            report, chart.title, list(by_name), cost_label(report), chart.ylabel, keys=[*keys, chart.aside]
        )
        shown = ranges(chart)
        for name, axes in drawn:
            shown.apply(axes)
            lines.others(axes, [line for line in chart.lines if line.name != name])
            for reference in chart.references:
                lines.reference(axes, reference, small=True)
            lines.draw(axes, by_name[name], report.looks[name], band=0.22, size=4.0)
        drawn.finish()
        return drawn.page.figure


@dataclass(frozen=True)
class Ranges:
    """The ranges of both axes, and whether values are on a logarithmic scale."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def apply(self, axes: Axes) -> None:
        """Set them."""
        if self.log:
            axes.set_yscale("log", nonpositive="clip")
            near = self.y[1] / self.y[0] < 20
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0) if near else (1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(*self.x)
        axes.set_ylim(*self.y)


def ranges(chart: Chart) -> Ranges:
    """Choose ranges so that all means are seen; intervals may widen them, but not swallow the differences."""
    start = min(float(line.points["x"].min()) for line in chart.lines) if chart.focus else -np.inf
    paths = [d for line in chart.lines for d in (line.points, line.line)]
    paths += [] if chart.focus else [r.data for r in chart.references]
    shown = [d[d["x"] >= start - 1e-9] for d in paths]
    x = np.concatenate([*(d["x"].to_numpy(float) for d in shown), [1.0]])
    y = _finite(np.concatenate([d["y"].to_numpy(float) for d in shown]))
    wide = [line.band if len(line.band) else line.points for line in chart.lines] if chart.bands else []
    low = _finite(np.concatenate([[], *(d["low"].to_numpy(float) for d in wide)]))
    high = _finite(np.concatenate([[], *(d["high"].to_numpy(float) for d in wide)]))
    least, most = float(y.min()), float(y.max())
    across = (max(0.0, float(x.min()) - 0.03), float(x.max()) + 0.02)
    if chart.log and least > 0 and most / least > 4:
        return Ranges(across, (least / (most / least) ** 0.1, most * (most / least) ** 0.08), log=True)
    span = max(most - least, abs(most) * 0.1, 1e-6)
    floor = min(least, max(float(low.min(initial=least)), least - 0.2 * span))
    ceiling = max(most, min(float(high.max(initial=most)), most + 0.2 * span))
    return Ranges(across, (floor - 0.06 * span, ceiling + 0.05 * span), log=False)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
