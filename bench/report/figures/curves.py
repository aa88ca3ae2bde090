"""Scores against cost, with all methods on one pair of axes and labels beside their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures import lines
from bench.report.figures.canvas import fit, sheet
from bench.report.figures.labels import SIZE, Label, beside, room
from bench.report.figures.lines import Line, Reference
from bench.report.figures.points import cost_label
from bench.report.style import Look, distinct, settings

BEST = 5  # methods, besides the baseline, that a figure of many methods highlights
BANDS = 4  # methods whose bands readers can tell apart on one pair of axes


@dataclass(frozen=True)
class Chart:
    """The contents of a figure of scores against cost.

    log: use a logarithmic scale if the largest value is many times the smallest. focus: fit the axes to the policies of
    methods; references may be outside, and `aside` states where. bands: draw bands. clip: mark values far above all
    others at the frame, with the value. others: methods in grey behind the lines.
    """

    report: CellReport
    ylabel: str
    lines: Sequence[Line]
    references: Sequence[Reference] = ()
    keys: Sequence[str] = ()
    log: bool = False
    focus: bool = False
    bands: bool = True
    aside: str = ""
    clip: bool = False
    others: Sequence[Line] = ()

    def highlighting(self, names: Sequence[str]) -> Chart:
        """Return the chart with these methods in colour, in this order, and all others in grey."""
        held = {line.name: line for line in self.lines}
        behind = tuple(line for line in self.lines if line.name not in names)
        return replace(self, lines=[held[name] for name in names], others=behind)

    @property
    def looks(self) -> Mapping[str, Look]:
        """The looks of the lines; each has its own hue if there are few."""
        return distinct([line.name for line in self.lines], self.report.looks)


def one(chart: Chart) -> Figure:
    """Draw all methods on one pair of axes, with their names at the ends of their lines."""
    report = chart.report
    with mpl.rc_context(settings()):
        names = fit([line.name for line in chart.lines], 2.6, SIZE)
        right = room([*names, *(r.name for r in chart.references)])
        left, height, width = 0.72, 3.9, 9.2
        keys = [*chart.keys, chart.aside]
        page = sheet(width=width, body=height + 0.65, keys=keys, warnings=warnings(report.cell))
        axes = page.axes(left, 0.52, width - left - right, height)
        short = dict(zip((line.name for line in chart.lines), names, strict=True))
        beside(axes, [replace(label, text=short.get(label.text, label.text)) for label in draw(chart, axes)])
        return page.figure


def draw(chart: Chart, axes: Axes, *, size: float = 6.0) -> list[Label]:
    """Draw all methods and references on a pair of axes, and return a label for each visible line.

    size: size of markers in points.
    """
    shown = ranges(chart)
    shown.apply(axes)
    low, high = axes.get_ylim()
    found, looks = [], chart.looks
    if chart.others:
        lines.others(axes, chart.others)
    for drawn in chart.references:
        lines.reference(axes, drawn, small=False)
        if low <= drawn.data["y"].iloc[-1] <= high:
            found.append(lines.label(drawn.name, drawn.data, drawn.style))
    strength = (0.16 if len(chart.lines) <= BANDS else 0.08) if chart.bands else 0.0
    for line in chart.lines:
        look = looks[line.name]
        lines.draw(axes, line, look, band=strength, size=size)
        found.append(lines.label(line.name, line.path, lines.sample(look)))
    shown.beyond(axes, chart.lines, looks)
    axes.set_xlabel(cost_label(chart.report))
    axes.set_ylabel(chart.ylabel)
    return found


def foremost(report: CellReport) -> list[str]:
    """Return the BEST complete methods by own gain, and the baseline."""
    found = [m.label for m in report.statistics.methods if m.complete][:BEST]
    baseline = report.statistics.baseline
    return [*found, baseline.label] if baseline and baseline.label not in found else found


@dataclass(frozen=True)
class Ranges:
    """The ranges of both axes, and whether values are on a logarithmic scale."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool

    def apply(self, axes: Axes) -> None:
        """Set the ranges and scales of axes."""
        if self.log:
            axes.set_yscale("log", nonpositive="clip")
            near = self.y[1] / self.y[0] < 20
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0) if near else (1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(*self.x)
        axes.set_ylim(*self.y)

    def beyond(self, axes: Axes, drawn: Sequence[Line], looks: Mapping[str, Look]) -> None:
        """Mark points above the range at the frame, with the largest value of each method."""
        for line in drawn:
            out = line.points[line.points["y"] > self.y[1]]
            if not len(out):
                continue
            colour = looks[line.name].colour
            style: dict[str, Any] = {"linestyle": "none", "marker": "^", "markersize": 5, "clip_on": False, "zorder": 7}
            axes.plot(out["x"], [self.y[1]] * len(out), color=colour, **style)
            first = out.iloc[0]
            text, turned = f"up to {out['y'].max():.3g}", bool(first["x"] > sum(self.x) / 2)
            axes.annotate(
                text, (first["x"], self.y[1]), (0, -6), textcoords="offset points", ha="right" if turned else "left",
                va="top", fontsize=8, color=colour, zorder=7,
            )  # fmt: skip


def ranges(chart: Chart) -> Ranges:
    """Return ranges that show all means; intervals widen them only as far as differences stay visible."""
    start = min(float(line.points["x"].min()) for line in chart.lines) if chart.focus else -np.inf
    paths = [d for line in chart.lines for d in (line.points, line.line)]
    paths += [] if chart.focus else [r.data for r in chart.references]
    shown = [d[d["x"] >= start - 1e-9] for d in paths]
    x = np.concatenate([*(d["x"].to_numpy(float) for d in shown), [1.0]])
    y = _finite(np.concatenate([d["y"].to_numpy(float) for d in shown]))
    wide = [line.band if len(line.band) else line.points for line in chart.lines] if chart.bands else []
    if chart.clip:
        y = y[y <= _usual(y)]
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


def _usual(values: NDArray[np.float64]) -> float:
    """Return a limit for outliers: the 95 % quantile plus twice the range from the 5 % to the 95 % quantile."""
    low, high = np.quantile(values, [0.05, 0.95])
    return float(high + 2 * max(high - low, 1e-9))


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
