"""The exit distribution: the share of samples that leave at each exit, by budget."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm

from bench.report.context import CellReport
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.grid import WIDTH, panels
from bench.report.figures.points import CROSSED, point_flags, rows_of, seeds_described
from bench.report.style import SHADES, settings

SCALE = PowerNorm(0.5, 0, 100)  # finer for small shares
TICKS = 4  # tick labels that fit in a panel


def depth(report: CellReport) -> Drawing:
    """Draw a panel per method, with a cell per exit and budget shaded by the share of test samples."""
    data = depth_data(report)
    names = list(dict.fromkeys(data["method"]))
    budgets, exits = sorted(set(data["budget"])), int(data["exit"].max()) + 1
    states = data.drop_duplicates(["method", "budget"])
    gone = len(names) * len(budgets) > len(states)
    with mpl.rc_context(settings()):
        notes = [
            "shade: share of samples",
            CROSSED if states["collapsed"].any() else "",
            "○: not all seeds" if states["incomplete"].any() else "",
            "hatched: no result" if gone else "",
        ]
        cost = "budget, fraction of the plain backbone's MACs"
        grid = panels(report, names, cost, "exit (0: the earliest)", keys=notes, right=0.78)
        for name, axes in grid:
            _panel(axes, data[data["method"] == name], budgets, exits)
        grid.finish()
        place = grid.page.axes(WIDTH - 0.62, grid.bottom, 0.12, min(grid.height, 2.2))
        bar = grid.page.figure.colorbar(ScalarMappable(SCALE, SHADES), cax=place)
        bar.set_ticks([1, 10, 25, 50, 100])
        bar.ax.set_title("%", fontsize=8, pad=4)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
    seeds = seeds_described(states["seeds"], "the scale is finer for small shares")
    caption = (
        "Exit distribution: each column is a policy for one budget, each row is an exit, and the shade is the share of "
        f"test samples that leave there, {seeds}."
    )
    return Drawing(grid.page.figure, data, caption)


def depth_data(report: CellReport) -> pd.DataFrame:
    """Return the mean share of each exit by method (in the order of the leaderboard) and budget."""
    found = []
    for m in report.statistics.methods:
        for p in m.points:
            notes = point_flags(report, p.flags, len(p.accuracy.seeds))
            for k, share in enumerate(p.depth):
                known = {"method": m.label, "budget": p.budget, "exit": k, "share": share}
                found.append(known | {"seeds": len(p.accuracy.seeds)} | notes)
    if not found:
        raise Missing("No record of a method has an exit distribution.")
    return pd.DataFrame(found)


def _panel(axes: Axes, mine: pd.DataFrame, budgets: list[float], exits: int) -> None:
    shares = np.full((exits, len(budgets)), np.nan)
    signs = {}
    for line in rows_of(mine):
        shares[int(line.exit), budgets.index(line.budget)] = line.share * 100
        signs[line.budget] = "x" if line.collapsed else "o" if line.incomplete else ""
    axes.imshow(shares, cmap=SHADES, norm=SCALE, aspect="auto", interpolation="nearest", origin="lower")
    for i, budget in enumerate(budgets):
        if np.isnan(shares[:, i]).all():
            axes.axvspan(i - 0.5, i + 0.5, facecolor="#F4F4F4", edgecolor="#BBBBBB", hatch="////", linewidth=0)
        elif signs[budget]:
            top = int(np.nanargmax(shares[:, i]))
            ink = "white" if shares[top, i] > 30 else "black"
            axes.plot([i], [top], signs[budget], markersize=4, markerfacecolor="none", markeredgecolor=ink)
    shown = range(0, len(budgets), -(-len(budgets) // TICKS))
    axes.set_xticks(shown, [f"{budgets[i]:.2g}".removeprefix("0") or "0" for i in shown])
    axes.set_yticks(range(0, exits, 2 if exits > 7 else 1))
    axes.set_ylim(-0.5, exits - 0.5)
    axes.set_xlim(-0.5, len(budgets) - 0.5)
    axes.grid(visible=False)
