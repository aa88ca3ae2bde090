"""Accuracy against absolute cost, all networks of a dataset on one axis: does a large network that exits early pay?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.ticker import LogLocator, NullLocator

from bench.report.figures.canvas import sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.style import settings
from bench.report.summary import CellSummary, Line, Report

WIDTH, ROW = 9.2, 3.3
MARKERS = "osD^vP*X"
COLUMNS = ["data", "setting", "series", "method", "point", "macs", "accuracy"]


def absolute(report: Report) -> Drawing:
    """Draw the static exits of every network and its best method over MACs, a panel for each dataset with several."""
    data = absolute_data(report)
    panels = list(dict.fromkeys(data["data"]))
    with mpl.rc_context(settings()):
        page = sheet(
            "Accuracy against absolute cost",
            "all networks of a dataset on one axis",
            width=WIDTH,
            body=len(panels) * (ROW + 0.95),
            keys=["large: the whole network", "dashed: its static exits", "solid: its best method by own gain"],
        )
        places = page.grid(len(panels), 1, left=0.75, right=3.3, bottom=0.6, row=ROW, gap=(0.0, 0.95), top=0.3)
        for axes, panel in zip(places, panels, strict=True):
            mine = data[data["data"] == panel]
            names = list(dict.fromkeys(mine["setting"]))
            colours = sns.color_palette("colorblind", len(names))
            for i, name in enumerate(names):
                own = mine[mine["setting"] == name].sort_values("macs")
                static, method = (own[own["series"] == kind] for kind in ("static", "method"))
                mark = MARKERS[i % len(MARKERS)]
                axes.plot(static["macs"] / 1e6, static["accuracy"], "--", color=colours[i], linewidth=1, zorder=2)
                axes.plot(
                    static["macs"].iloc[-1:] / 1e6, static["accuracy"].iloc[-1:], mark, color=colours[i], markersize=10,
                    markeredgecolor="black", zorder=4, label=f"{name}, whole network",
                )  # fmt: skip
                if len(method):
                    told = f"{name}, {method['method'].iloc[0]}"
                    axes.plot(
                        method["macs"] / 1e6, method["accuracy"], f"-{mark}", color=colours[i], markersize=4, zorder=3,
                        label=told,
                    )  # fmt: skip
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.15g}")
            axes.set_xlabel("mean cost of a test image, million MACs")
            axes.set_ylabel("test accuracy, %")
            axes.set_title(panel, loc="left")
            axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    caption = (
        "Costs are multiply-accumulates, heads and gates included, not shares of each network. A small network without "
        "exits can be compared with a large one that leaves early. Points are means over seeds; the best method is the "
        "one with the largest own gain among complete ones."
    )
    return Drawing(page.figure, data, caption)


def absolute_data(report: Report) -> pd.DataFrame:
    """Return a row per static exit and per budget of the best method, of datasets with several networks."""
    groups: dict[str, list[CellSummary]] = defaultdict(list)
    for cell in report.cells:
        groups[f"{cell.name.partition(' · ')[0]}, protocol {cell.protocol}"].append(cell)
    rows = [row for name, cells in groups.items() if len(cells) > 1 for cell in cells for row in _cell(name, cell)]
    if not rows:
        raise Missing("No dataset has several networks.")
    return pd.DataFrame(rows, columns=COLUMNS)


def _cell(data: str, cell: CellSummary) -> list[tuple[object, ...]]:
    title = cell.name.partition(" · ")[2].partition(" · protocol")[0]
    static = [line for line in cell.lines if line.label == "static" and line.kind == "reference"]
    rows = _means(static, (data, title, "static", "static"))
    best = next((m.label for m in cell.statistics.methods if m.complete), None)
    return rows if best is None else rows + _means(cell.of(best), (data, title, "method", best))


def _means(lines: Sequence[Line], where: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Return mean MACs and accuracy in % over the seeds of every point."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        macs, accuracy = line.score("macs"), line.score("accuracy")
        if macs is not None and accuracy is not None:
            points[line.point].append((macs, accuracy))
    return [(*where, name, fmean(m for m, _ in held), 100 * fmean(a for _, a in held)) for name, held in points.items()]
