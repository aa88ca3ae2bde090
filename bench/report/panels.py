"""A figure of many methods: a small panel for each, so that every line can be read; the others behind it in grey."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.cells import Cell
from bench.report.figures import Plot, header, limits
from bench.report.style import COLOURS, HULL, REFERENCE, settings

COLUMNS = 4
OTHERS = "#D9D9D9"


def draw_panels(cell: Cell, data: pd.DataFrame, plot: Plot) -> Figure:
    """Draw one panel per method of a cell on common axes, with the hull of the static exits in each."""
    methods = data[data["kind"] == "method"]
    names = sorted(set(methods["method"]))
    rows = math.ceil(len(names) / COLUMNS)
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(10.5, 1.2 + 2.1 * rows))
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat
        lines = {str(n): g.sort_values("macs_fraction", kind="stable") for n, g in methods.groupby("method", sort=True)}
        for axes, name in zip(grid, names, strict=False):
            for other, line in lines.items():
                if other != name:
                    axes.plot(line["macs_fraction"], line[plot.metric] * plot.scale, color=OTHERS, linewidth=0.8)
            _panel(axes, lines[name], data[data["kind"] == "reference"], plot, name)
        for axes in list(grid)[len(names) :]:
            axes.set_visible(False)
        limits(figure.axes[0], data, plot)
        full = cell.records["full_macs"].dropna()
        one = f"  (1.0 = {full.iloc[0] / 1e9:.3g} GMACs)" if len(full) else ""
        figure.supxlabel(f"realised MACs on test, fraction of the plain backbone{one}", fontsize=10)
        figure.supylabel(plot.label, fontsize=10)
        keys = {"hull": "dashes: the hull of the static exits", "oracle": "★: the oracle"}
        drawn = [text for reference, text in keys.items() if reference in set(data["method"])]
        header(figure, cell, data, "; ".join(["grey: the other methods", *drawn]), mark="bands")
        return figure


def _panel(axes: Axes, line: pd.DataFrame, references: pd.DataFrame, plot: Plot, name: str) -> None:
    x, y = line["macs_fraction"], line[plot.metric] * plot.scale
    half = line[f"{plot.metric}_ci95"].fillna(0.0) * plot.scale
    hull = references[references["method"] == "hull"].sort_values("macs_fraction", kind="stable")
    axes.plot(hull["macs_fraction"], hull[plot.metric] * plot.scale, color=HULL, linewidth=0.9, linestyle=(0, (4, 2)))
    oracle = references[references["method"] == "oracle"]
    star: dict[str, Any] = {"linestyle": "none", "marker": "*", "markersize": 7, "color": "black"}
    axes.plot(oracle["macs_fraction"], oracle[plot.metric] * plot.scale, **star)
    axes.fill_between(x, y - half, y + half, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(x, y, color=COLOURS[0], linewidth=1.5)
    done = line["complete"].to_numpy(bool)
    for mask, face in ((done, COLOURS[0]), (~done, "white")):
        axes.plot(x[mask], y[mask], "o", markersize=3.6, markerfacecolor=face, markeredgecolor=COLOURS[0])
    axes.set_title("\n".join(textwrap.wrap(name, 30)), fontsize=9, loc="left", pad=3)
    axes.tick_params(labelsize=8, color=REFERENCE)
    sns.despine(ax=axes)
