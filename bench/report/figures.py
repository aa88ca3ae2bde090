"""Figures of a cell: a score against realised MACs, with static exits, hull and oracle. Each has its data."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.report.aggregate import Row
from bench.report.cells import Cell
from bench.report.style import ALARM, HULL, REFERENCE, Look, settings
from bench.report.text import seeds_phrase


@dataclass(frozen=True)
class Plot:
    """What a figure shows: a metric, its label, and its axis (`log`: if the largest value is many times the least)."""

    name: str
    metric: str
    label: str
    scale: float = 1.0
    log: bool = False
    lower_is_better: bool = False


PLOTS = (
    Plot("accuracy", "accuracy", "accuracy on test, %", 100.0),
    Plot("ece", "ece_mass15", "ECE, % (15 equal-mass bins; lower is better)", 100.0, lower_is_better=True),
    Plot(
        "set_size",
        "set_size_lac@0.05",
        "LAC set size, classes, α = 0.05 (lower is better)",
        log=True,
        lower_is_better=True,
    ),
)


def figure_data(rows: Sequence[Row], plot: Plot) -> pd.DataFrame:
    """Return one row per drawn point: its mean, the half widths of its 95 % intervals, MACs and seeds.

    Random exits are for the table alone.
    """
    found = []
    for row in rows:
        if row.kind == "reference" and row.method == "random":
            continue
        value, cost, macs = row.estimate(plot.metric), row.estimate("macs_fraction"), row.estimate("macs")
        if value is None or cost is None:
            continue
        found.append(
            {
                "method": row.method,
                "kind": row.kind,
                "point": row.point,
                "budget": row.budget,
                "macs_fraction": cost.value,
                "macs_fraction_ci95": (cost.high - cost.low) / 2,
                "gmacs": macs.value / 1e9 if macs else math.nan,
                plot.metric: value.value,
                f"{plot.metric}_ci95": (value.high - value.low) / 2,
                "seeds": len(value.seeds),
                "complete": row.complete,
            }
        )
    names = ["method", "kind", "point", "budget", "macs_fraction", "macs_fraction_ci95", "gmacs"]
    return pd.DataFrame(found, columns=[*names, plot.metric, f"{plot.metric}_ci95", "seeds", "complete"])


def draw(cell: Cell, data: pd.DataFrame, plot: Plot, looks: Mapping[str, Look]) -> Figure:
    """Draw one figure of a cell from its data."""
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(8.2, 4.9))
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for name, group in data[data["kind"] == "method"].groupby("method", sort=True):
            _line(axes, group.sort_values("budget", kind="stable"), plot, str(name), looks[str(name)])
        _references(axes, data[data["kind"] == "reference"], plot)
        if not data["complete"].all():
            hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": REFERENCE}
            axes.plot([], [], linestyle="none", label="hollow: seeds missing", **hollow)
        _axes(axes, cell, data, plot)
        header(figure, cell, data)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
        return figure


def render(figure: Figure, form: str) -> bytes:
    """Return the figure as `svg` or `png` bytes, without dates or versions in them."""
    out = io.BytesIO()
    with mpl.rc_context(settings()):
        metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=150, metadata=metadata)
    return out.getvalue()


def _line(axes: Axes, group: pd.DataFrame, plot: Plot, name: str, look: Look) -> None:
    x, y = group["macs_fraction"].to_numpy(), group[plot.metric].to_numpy() * plot.scale
    x_half = group["macs_fraction_ci95"].fillna(0.0).to_numpy()
    y_half = group[f"{plot.metric}_ci95"].fillna(0.0).to_numpy() * plot.scale
    axes.errorbar(
        x,
        y,
        yerr=y_half,
        xerr=x_half,
        fmt="none",
        ecolor=look.colour,
        elinewidth=1.0,
        capsize=2.0,
        alpha=0.55,
        zorder=3,
    )
    axes.plot(x, y, color=look.colour, linestyle=look.dash, linewidth=1.7, zorder=4)
    style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 6.5}
    complete = group["complete"].to_numpy(bool)
    axes.plot(x[complete], y[complete], linestyle="none", markeredgecolor="white", zorder=5, **style)
    axes.plot(x[~complete], y[~complete], linestyle="none", markerfacecolor="white", zorder=5, **style)
    # an empty twin carries line and marker together into the legend
    axes.plot([], [], linestyle=look.dash, markeredgecolor="white", label="\n".join(textwrap.wrap(name, 30)), **style)


def _references(axes: Axes, data: pd.DataFrame, plot: Plot) -> None:
    static = data[data["method"] == "static"].sort_values("macs_fraction", kind="stable")
    if len(static):
        x, y = static["macs_fraction"], static[plot.metric] * plot.scale
        axes.plot(x, y, color=REFERENCE, linewidth=1.1, marker="o", markersize=4.0, zorder=2, label="static exits")
        for point, px, py in zip(static["point"], x, y, strict=True):
            number = str(point).removeprefix("exit=")
            axes.annotate(
                number,
                (px, py),
                (0, 5 if plot.lower_is_better else -5),
                textcoords="offset points",
                ha="center",
                va="bottom" if plot.lower_is_better else "top",
                fontsize=8,
                color="#5F5F5F",
            )
    hull = data[data["method"] == "hull"].sort_values("macs_fraction", kind="stable")
    if len(hull):
        x, y = hull["macs_fraction"], hull[plot.metric] * plot.scale
        look: dict[str, Any] = {"linestyle": (0, (4, 2)), "marker": "|", "markersize": 5.0}
        axes.plot(x, y, color=HULL, linewidth=1.3, zorder=2.5, label="hull (static exits mixed)", **look)
    oracle = data[data["method"] == "oracle"]
    if len(oracle):
        x, y = oracle["macs_fraction"], oracle[plot.metric] * plot.scale
        axes.plot(
            x,
            y,
            linestyle="none",
            marker="*",
            markersize=13,
            color="black",
            markeredgecolor="white",
            zorder=6,
            label="oracle",
        )


def _axes(axes: Axes, cell: Cell, data: pd.DataFrame, plot: Plot) -> None:
    full = cell.records["full_macs"].dropna() if "full_macs" in cell.records else pd.Series(dtype=float)
    one = f"  (1.0 = {full.iloc[0] / 1e9:.3g} GMACs)" if len(full) else ""
    axes.set_xlabel(f"realised MACs on test, fraction of the plain backbone{one}")
    axes.set_ylabel(plot.label)
    limits(axes, data, plot)
    sns.despine(ax=axes)


def limits(axes: Axes, data: pd.DataFrame, plot: Plot) -> None:
    """Choose the ranges of both axes so that all means are seen, and a logarithmic scale where the plot asks for it."""
    y, half = data[plot.metric] * plot.scale, data[f"{plot.metric}_ci95"].fillna(0.0) * plot.scale
    low, high = float(y.min()), float(y.max())
    if plot.log and low > 0 and high / low > 4:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(low / (high / low) ** 0.08, high * (high / low) ** 0.06)
    else:
        # intervals of two or three seeds can be huge: they may widen the axis, but not swallow the means
        span = max(high - low, abs(high) * 0.1, 1e-6)
        bottom = max(float((y - half).min()), low - 0.35 * span) - 0.09 * span
        axes.set_ylim(bottom, min(float((y + half).max()), high + 0.35 * span) + 0.06 * span)
    x = np.append(data["macs_fraction"].to_numpy(), 1.0)
    axes.set_xlim(max(0.0, x.min() - 0.05), x.max() + 0.05)


def header(figure: Figure, cell: Cell, data: pd.DataFrame, key: str = "", mark: str = "bars") -> None:
    """Write the title, what the bars are, and the warnings over the whole width, and keep the axes below them."""
    counts = sorted(set(data["seeds"]))
    many = seeds_phrase(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    bars = f"{mark}: 95 % t intervals over seeds" if counts[-1] > 1 else "no intervals from one seed"
    told = "; ".join(filter(None, [many, bars, key]))
    blocks = [(cell.name, "black", 11.0, "bold", 84), (told, "#444444", 9.0, "normal", 120)]
    blocks += [(warning, ALARM, 9.0, "bold", 104) for warning in cell.warnings]
    inches, top = float(figure.get_figheight()), 0.08
    for text, colour, size, weight, width in blocks:
        for line in textwrap.wrap(text, width):
            y = 1 - top / inches
            figure.text(0.015, y, line, color=colour, fontsize=size, fontweight=weight, va="top", parse_math=False)
            top += size * 1.5 / 72
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - (top + 0.04) / inches)))
