"""Draw charts of the report on a matplotlib axis, e.g. `bench.plot.gain(data, ax=ax)`.

data: the folder of a store, or a DataFrame of `bench.run`, `bench.evaluate` or `bench.load_records(…, outcomes=True)`.
setting: the setting to draw, if `data` has several. methods: labels of the methods to draw in colour; others are grey.
Default: all methods, or the best ones by own gain if there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib.pyplot as plt  # import first, so that it has the user's backend and settings
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.errors import UserError, nearest
from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.accuracy import accuracy_chart
from bench.report.figures.curves import Chart, draw, foremost
from bench.report.figures.file import Missing
from bench.report.figures.gain import gain_chart
from bench.report.figures.labels import Label
from bench.report.figures.scores import ece_chart, set_size_chart
from bench.report.stored import report_of
from bench.report.style import HULL, MOST_LINES, OTHERS, settings

__all__ = ["accuracy", "calibration", "gain", "set_size"]

Data: TypeAlias = pd.DataFrame | str | Path
MARKERS: dict[str, dict[str, Any]] = {
    "×": {"marker": "x", "color": "black", "markeredgewidth": 1.2},
    "hollow": {"marker": "o", "color": HULL, "markerfacecolor": "white"},
}  # markers by their sign in the keys of charts
SHOWN = {"×": ("collapsed",), "hollow": ("incomplete", "hollow")}  # columns that give points these markers
NEVER = pd.Series([False])
Make = Callable[[CellReport], tuple[Chart, pd.DataFrame]]


def gain(
    data: Data, ax: Axes | None = None, *, setting: str | None = None, methods: Sequence[str] | None = None
) -> Axes:
    """Draw own gain at each cost, in points of accuracy over the static hull, and return the axis."""
    return _drawn(gain_chart, data, ax, setting, methods)


def accuracy(
    data: Data, ax: Axes | None = None, *, setting: str | None = None, methods: Sequence[str] | None = None
) -> Axes:
    """Draw test accuracy against cost, in % (own curves, policies and static exits), and return the axis."""
    return _drawn(accuracy_chart, data, ax, setting, methods, few=True)


def calibration(
    data: Data, ax: Axes | None = None, *, setting: str | None = None, methods: Sequence[str] | None = None
) -> Axes:
    """Draw the ECE of the policies' answers against cost, in % (15 bins of equal mass), and return the axis."""
    return _drawn(ece_chart, data, ax, setting, methods)


def set_size(
    data: Data, ax: Axes | None = None, *, setting: str | None = None, methods: Sequence[str] | None = None
) -> Axes:
    """Draw the mean size of conformal (LAC) sets at α = 0.05 against cost, and return the axis.

    Hollow markers: coverage that chance does not explain, or missing seeds.
    """
    return _drawn(set_size_chart, data, ax, setting, methods)


def _drawn(
    make: Make, data: Data, ax: Axes | None, setting: str | None, methods: Sequence[str] | None, *, few: bool = False
) -> Axes:
    """Draw a chart and return its axis.

    few: draw bands only if no method is grey, because many bands cover each other.
    Raises UserError if the records lack what the chart needs, and for an unknown method.
    """
    report = report_of(data, setting)
    try:
        chart, _ = make(report)
    except Missing as reason:
        raise UserError(str(reason)) from None
    chart = chart.highlighting(_chosen(chart, methods))
    chart = replace(chart, bands=not (few and chart.others))
    with plt.rc_context(settings()):
        axes = plt.gca() if ax is None else ax
        _frame(axes, report)
        labels = draw(chart, axes)
        axes.legend(handles=_legend(chart, labels), fontsize=8, handlelength=2.6, framealpha=0.9)
    return axes


def _legend(chart: Chart, labels: Sequence[Label]) -> list[Line2D]:
    """Return legend entries: methods in the order of the leaderboard, references, and special markers."""
    named = {label.text: label for label in labels}
    order = [*(line.name for line in chart.lines), *(reference.name for reference in chart.references)]
    found = [Line2D([], [], label=name, **named[name].style) for name in order if name in named]
    if chart.others:
        found.append(Line2D([], [], label="other methods", color=OTHERS, linewidth=1.4))
    for key in chart.keys:
        sign, _, meaning = key.partition(": ")
        if sign in MARKERS and any(line.points.get(name, NEVER).any() for line in chart.lines for name in SHOWN[sign]):
            found.append(Line2D([], [], label=meaning.partition(",")[0], linestyle="none", **MARKERS[sign]))
    return found


def _chosen(chart: Chart, methods: Sequence[str] | None) -> list[str]:
    known = [line.name for line in chart.lines]
    if methods is not None:
        for name in methods:
            if name not in known:
                raise UserError(f"There is no method '{name}' in these records.{nearest(name, known)}")
        return list(dict.fromkeys(methods))
    return known if len(known) <= MOST_LINES else [name for name in foremost(chart.report) if name in known]


def _frame(axes: Axes, report: CellReport) -> None:
    """Style an axis like those of the report; the title is the name of the setting and its warnings."""
    style: dict[str, Any] = settings()
    axes.grid(True, color=style["grid.color"], linewidth=style["grid.linewidth"])
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_edgecolor(style["axes.edgecolor"])
    axes.set_title("\n".join([report.name, *warnings(report.cell)]), fontsize=9.5, loc="left")
