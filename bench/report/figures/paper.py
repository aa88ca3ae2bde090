"""Figures of a setting for a paper: PDFs of the width of a column, with 8 pt labels and no titles."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.cells import warnings
from bench.report.figures.accuracy import accuracy_chart
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.critical import ROW, comparison_data, differences
from bench.report.figures.curves import Chart, draw, foremost
from bench.report.figures.file import Missing
from bench.report.figures.gain import gain_chart
from bench.report.figures.scores import ece_chart, set_size_chart
from bench.report.style import MOST_LINES, settings

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.context import CellReport

WIDTH, HEIGHT, SIZE = 3.35, 2.1, 8  # inches, and points of all labels
LEFT, BELOW, NAME = 0.5, 0.42, 0.16  # inches
COST = "cost, share of the plain backbone's MACs"
Make: TypeAlias = "Callable[[CellReport], tuple[Chart, pd.DataFrame]]"
CHARTS: dict[str, Make] = {
    "gain": gain_chart,
    "accuracy": accuracy_chart,
    "ece": ece_chart,
    "set_size": set_size_chart,
}


def figures(report: CellReport) -> dict[str, bytes]:
    """Return the PDFs of a setting by name, without those for which the records have no data."""
    drawn: dict[str, Callable[[], Figure]] = {name: partial(_chart, report, make) for name, make in CHARTS.items()}
    drawn["comparison"] = partial(_comparison, report)
    found = {}
    with mpl.rc_context(_settings()):
        for name, draw_one in drawn.items():
            with suppress(Missing):
                found[name] = _pdf(draw_one())
    return found


def _chart(report: CellReport, make: Make) -> Figure:
    """Draw a chart with a legend below; if there are many methods, only the best ones are in colour."""
    chart, _ = make(report)
    names = [line.name for line in chart.lines]
    if len(names) > MOST_LINES:
        chart = replace(
            chart.highlighting([name for name in foremost(report) if name in names]), bands=make is gain_chart
        )
    shown = [*(line.name for line in chart.lines), *(reference.name for reference in chart.references)]
    rows = -(-len(shown) // 2)
    body = BELOW + HEIGHT + rows * NAME + 0.1
    page = sheet(width=WIDTH, body=body, keys=(), warnings=warnings(report.cell))
    axes = page.axes(LEFT, BELOW + rows * NAME + 0.05, WIDTH - LEFT - 0.08, HEIGHT)
    labels = {label.text: label for label in draw(chart, axes, size=3.5)}
    held = [name for name in shown if name in labels]
    handles = [
        Line2D([], [], label=short, **labels[name].style)
        for name, short in zip(held, fit(held, WIDTH / 2 - 0.45, SIZE), strict=True)
    ]
    axes.set_xlabel(COST)
    page.figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=SIZE, frameon=False,
        handlelength=2.0, columnspacing=1.2, labelspacing=0.3, borderaxespad=0.1,
    )  # fmt: skip
    return page.figure


def _comparison(report: CellReport) -> Figure:
    data = comparison_data(report)
    labels = fit(list(data["method"]), 1.3, SIZE)
    left, height = max(inches(label, SIZE) for label in labels) + 0.15, 0.7 * ROW * len(data) + 0.1
    page = sheet(width=WIDTH, body=height + BELOW + 0.05, warnings=warnings(report.cell))
    axes = page.axes(left, BELOW, WIDTH - left - 0.08, height)
    differences(axes, data, labels, report)
    axes.tick_params(labelsize=SIZE)
    axes.set_xlabel("difference of own gain, points")
    return page.figure


def _settings() -> Any:
    sizes = ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    return {**settings(), **dict.fromkeys(sizes, SIZE), "pdf.fonttype": 42}


def _pdf(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return out.getvalue()
