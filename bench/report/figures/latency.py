"""Accuracy against measured latency on one machine, with one panel per batch size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from bench.execution.measurements import PLAIN, Row
from bench.report.figures.file import Drawing, FigureFile, pack
from bench.report.style import HULL, NOTE, looks, settings

CAPTION = (
    "Accuracy on all of test (simulated) against milliseconds per batch (measured, heads and gates included): medians, "
    "bars from the first to the third quartile. Dashes: the plain backbone. Crosses: the latency expected if it were "
    "proportional to executed MACs."
)


def latency_figure(rows: Sequence[Row], setting: str, machine: str) -> FigureFile:
    """Draw the measurements of one machine on one setting. Raises ValueError if there are none."""
    data = latency_data(rows)
    return pack(
        "latency",
        f"Accuracy against measured latency, {setting}",
        Drawing(_draw(data, setting, machine), data, CAPTION),
    )


def latency_data(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a row per policy and batch size: accuracy, milliseconds, and milliseconds expected from executed MACs."""
    return pd.DataFrame(
        [
            {
                "method": row.method,
                "budget": row.budget,
                "batch_size": row.batch_size,
                "accuracy": row.accuracy,
                "milliseconds": row.milliseconds.median,
                "q1": row.milliseconds.q1,
                "q3": row.milliseconds.q3,
                "by_macs": row.speed_up * row.milliseconds.median * row.cost_executed,
            }
            for row in sorted(rows, key=lambda row: (row.batch_size, row.method, row.cost_executed))
        ]
    )


def _draw(data: pd.DataFrame, setting: str, machine: str) -> Figure:
    sizes = sorted(data["batch_size"].unique())
    with mpl.rc_context(settings()):
        width, height = 1.4 + 3.1 * len(sizes), 4.4
        figure = Figure(figsize=(max(width, 5.0), height))
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
        for axes, size in zip(panels, sizes, strict=True):
            _panel(axes, data[data["batch_size"] == size])
            axes.set_title(f"batch size {size}", fontsize=10)
        panels[0].set_ylabel("accuracy on test, %")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=max(2, len(sizes) + 1), frameon=False, fontsize=9
        )
        top = 0.08
        for text, colour, points, weight in (
            (f"Accuracy against measured latency: {setting}", "black", 11.0, "bold"),
            (machine, NOTE, 9.0, "normal"),
        ):
            for line in textwrap.wrap(text, int(figure.get_figwidth() * (11 if weight == "bold" else 15))):
                figure.text(0.015, 1 - top / height, line, color=colour, fontsize=points, fontweight=weight, va="top")
                top += points * 1.5 / 72
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - (top + 0.04) / height)))
        return figure


def _panel(axes: Axes, data: pd.DataFrame) -> None:
    methods, plain = data[data["method"] != PLAIN], data[data["method"] == PLAIN]
    for name, look in looks(methods["method"]).items():
        rows = methods[methods["method"] == name].sort_values("milliseconds")
        x, q1, q3, by_macs, y = (
            rows[key].to_numpy(float) for key in ("milliseconds", "q1", "q3", "by_macs", "accuracy")
        )
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": look.dash, "markersize": 5}
        axes.errorbar(x, 100 * y, xerr=[x - q1, q3 - x], elinewidth=0.9, linewidth=1.3, label=name, zorder=4, **style)
        axes.plot(by_macs, 100 * y, color=look.colour, marker="x", linestyle="none", markersize=4, zorder=3)
    for x, y in plain[["milliseconds", "accuracy"]].to_numpy(float):
        axes.axvline(x, color=HULL, linestyle=(0, (4, 2)), linewidth=1.1, zorder=2)
        axes.plot(x, 100 * y, color=HULL, marker="*", markersize=9, linestyle="none", label=PLAIN)
    axes.set_xlim(left=0)
    axes.set_xlabel("ms per batch, measured")
