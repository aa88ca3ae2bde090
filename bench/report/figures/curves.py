"""Scores against cost: all methods on one pair of axes with labels beside their lines, or a small panel for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.report.context import CellReport
from bench.report.figures.canvas import inches, sheet, wrapped
from bench.report.figures.labels import Label, beside
from bench.report.figures.points import cost_label
from bench.report.style import HULL, OTHERS, REFERENCE, Look, settings

COLUMNS = 4
Draw = Callable[[Axes, Look], None]


@dataclass(frozen=True)
class Line:
    """A method's line [P] and band, and its own operating points, all in the units of the axes.

    `join`: draw a line through the points themselves, where there is no line.
    """

    name: str
    points: pd.DataFrame  # x, y, low, high, state
    line: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"x": [], "y": []}))
    band: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"x": [], "low": [], "high": []}))


@dataclass(frozen=True)
class Reference:
    """A line that is no method: static exits, hull, oracle."""

    name: str
    data: pd.DataFrame  # x, y, and `number` of the exit where points are numbered
    style: Mapping[str, Any]
    key: str = ""  # how the header of panels calls it; empty: not in panels


STATIC: Mapping[str, Any] = {"color": REFERENCE, "linewidth": 1.1, "marker": "o", "markersize": 3.2}
HULL_STYLE: Mapping[str, Any] = {"color": HULL, "linewidth": 1.2, "linestyle": (0, (4, 2))}
ORACLE: Mapping[str, Any] = {"color": "black", "linewidth": 1.2, "linestyle": (0, (1, 1.6))}


@dataclass(frozen=True)
class Chart:
    """What a figure of scores against cost is drawn from."""

    report: CellReport
    title: str
    ylabel: str
    lines: Sequence[Line]
    references: Sequence[Reference] = ()
    keys: Sequence[str] = ()
    log: bool = False
    ylim: tuple[float, float] | None = None
    level: float | None = None  # a horizontal line


def one(chart: Chart) -> Figure:
    """Draw all methods on one pair of axes, their names beside the ends of their lines."""
    report = chart.report
    with mpl.rc_context(settings()):
        labels = {line.name: wrapped(line.name, 26) for line in chart.lines}
        right = max([inches(text, 8.5) for text in [*labels.values(), *(r.name for r in chart.references)]]) + 0.32
        width, height = 5.9 + 0.75 + right, 3.9
        page = sheet(
            chart.title, report.name, width=width, body=height + 0.68, keys=chart.keys, warnings=report.cell.warnings
        )
        axes = page.axes(0.75, 0.55, width - 0.75 - right, height)
        limits(axes, chart)
        found = []
        for reference in chart.references:
            found += _reference(axes, reference, numbers=True)
        for line in chart.lines:
            look = report.looks[line.name]
            draw(axes, line, look, band=0.13 if len(chart.lines) > 2 else 0.2)
            end = line.points if len(line.points) else line.line
            if len(end):
                found.append(Label(labels[line.name], end["x"].iloc[-1], end["y"].iloc[-1], look.colour))
        axes.set_xlabel(cost_label(report))
        axes.set_ylabel(chart.ylabel)
        beside(axes, found, height)
        return page.figure


def panels(chart: Chart) -> Figure:
    """Draw a small panel for each method on common axes, the other methods behind it in grey."""
    report, count = chart.report, len(chart.lines)
    with mpl.rc_context(settings()):
        rows = -(-count // COLUMNS)
        row, gap, bottom = 1.25, (0.16, 0.34), 0.62
        body = bottom + rows * row + (rows - 1) * gap[1] + 0.3
        drawn = [r for r in chart.references if r.key]
        keys = [*chart.keys, "grey: the other methods", *(f"{r.key}: {r.name}" for r in drawn)]
        page = sheet(
            chart.title, report.name, width=9.2, body=body, keys=keys, warnings=report.cell.warnings
        )
        grid = page.grid(count, COLUMNS, left=0.72, right=0.12, bottom=bottom, row=row, gap=gap, top=0.3)
        for i, (axes, line) in enumerate(zip(grid, chart.lines, strict=True)):
            limits(axes, chart)
            _others(axes, [other for other in chart.lines if other is not line])
            for reference in drawn:
                _reference(axes, reference, numbers=False)
            draw(axes, line, report.looks[line.name], band=0.22, size=4.0)
            panel_title(axes, line.name)
            tidy(axes, i, count, COLUMNS)
        page.text(0.72 + (9.2 - 0.84) / 2, 0.1, cost_label(report), ha="center", fontsize=9.5)
        page.text(0.1, bottom + (body - bottom) / 2, chart.ylabel, rotation=90, va="center", fontsize=9.5)
        return page.figure


def tidy(axes: Axes, i: int, count: int, columns: int) -> None:
    """Keep tick labels of panel i at the left and at the foot of the grid alone."""
    axes.tick_params(labelsize=8, pad=2, labelleft=i % columns == 0, labelbottom=i + columns >= count)
    sns.despine(ax=axes)


def panel_title(axes: Axes, name: str, width: int = 32) -> None:
    """Write a method's name above its panel."""
    axes.set_title(wrapped(name, width, lines=1), fontsize=8.5, loc="left", pad=3)


def _others(axes: Axes, lines: Sequence[Line]) -> None:
    """All other methods in one path: one grey line each, with a gap between."""
    gap, xs, ys = [np.nan], [], []
    for other in lines:
        data = other.line if len(other.line) else other.points
        xs += [*data["x"], *gap]
        ys += [*data["y"], *gap]
    axes.plot(xs, ys, color=OTHERS, linewidth=0.7, zorder=1)


def draw(axes: Axes, line: Line, look: Look, *, band: float, size: float = 6.0) -> None:
    """Draw one method: band, line, points with their intervals; hollow where seeds miss, crossed where collapsed."""
    if len(line.band):
        x, low, high = (line.band[key].to_numpy(float) for key in ("x", "low", "high"))
        axes.fill_between(x, low, high, color=look.colour, alpha=band, linewidth=0, zorder=1.8)
    data = line.points
    x, y = data["x"].to_numpy(float), data["y"].to_numpy(float)
    whole = line.line if len(line.line) else data
    axes.plot(whole["x"], whole["y"], color=look.colour, linestyle=look.dash, linewidth=1.6, zorder=4)
    if not len(line.band) and data["low"].notna().any():
        half = np.abs(np.stack([y - data["low"], data["high"] - y]))
        axes.errorbar(
            x, y, yerr=np.nan_to_num(half), fmt="none", ecolor=look.colour, elinewidth=0.9, alpha=0.5, zorder=3
        )
    markers(axes, x, y, list(data["state"]), look, size)


def markers(axes: Axes, x: Any, y: Any, states: Sequence[str], look: Look, size: float = 6.0) -> None:
    """Draw a method's markers with what is to be said of each point."""
    there = np.array(states)
    edge = {"linestyle": "none", "marker": look.marker, "markersize": size, "markeredgewidth": 0.8, "zorder": 5}
    full, gone, one_exit = there != "partial", there == "partial", there == "collapsed"
    if full.any():
        axes.plot(x[full], y[full], color=look.colour, **{**edge, "markeredgecolor": "white", "markeredgewidth": 0.5})
    if gone.any():
        axes.plot(x[gone], y[gone], markerfacecolor="white", markeredgecolor=look.colour, **edge)
    if one_exit.any():
        cross = {"linestyle": "none", "marker": "x", "markersize": size * 1.15, "markeredgewidth": 1.3, "zorder": 6}
        axes.plot(x[one_exit], y[one_exit], color="black", **cross)


def _reference(axes: Axes, reference: Reference, *, numbers: bool) -> list[Label]:
    data = reference.data
    if not len(data):
        return []
    style = dict(reference.style)
    if not numbers:
        style |= {"linewidth": 0.9, "markersize": 2.0}
    axes.plot(data["x"], data["y"], zorder=2, **style)
    if numbers and "number" in data:
        for n, x, y in zip(data["number"], data["x"], data["y"], strict=True):
            axes.annotate(
                str(n), (x, y), (0, -4), textcoords="offset points", ha="center", va="top", fontsize=7.5, color="#5F5F5F"
            )  # fmt: skip
    low, high = axes.get_ylim()
    inside = data[(data["y"] >= low) & (data["y"] <= high)]
    end = inside if len(inside) else data
    return [Label(reference.name, float(end["x"].iloc[-1]), float(end["y"].iloc[-1]), str(style["color"]))]


def limits(axes: Axes, chart: Chart) -> None:
    """Choose ranges so that all means are seen; intervals may widen them, but not swallow the differences."""
    y = np.concatenate([*(d["y"].to_numpy(float) for line in chart.lines for d in (line.points, line.line))])
    x = np.concatenate([*(line.points["x"].to_numpy(float) for line in chart.lines), [1.0]])
    low_high = [line.band if len(line.band) else line.points for line in chart.lines]
    low = np.concatenate([d["low"].to_numpy(float) for d in low_high])
    high = np.concatenate([d["high"].to_numpy(float) for d in low_high])
    for reference in chart.references:
        y = np.concatenate([y, reference.data["y"].to_numpy(float)])
        x = np.concatenate([x, reference.data["x"].to_numpy(float)])
    y, low, high = y[np.isfinite(y)], low[np.isfinite(low)], high[np.isfinite(high)]
    least, most = float(y.min()), float(y.max())
    if chart.log and least > 0 and most / least > 4:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(least / (most / least) ** 0.1, most * (most / least) ** 0.08)
    elif chart.ylim:
        axes.set_ylim(*chart.ylim)
    else:
        span = max(most - least, abs(most) * 0.1, 1e-6)
        floor = min(least, max(float(low.min(initial=least)), least - 0.2 * span))
        ceiling = max(most, min(float(high.max(initial=most)), most + 0.2 * span))
        axes.set_ylim(floor - 0.06 * span, ceiling + 0.05 * span)
    axes.set_xlim(max(0.0, float(x.min()) - 0.03), float(x.max()) + 0.02)
    if chart.level is not None:
        axes.axhline(chart.level, color=REFERENCE, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
