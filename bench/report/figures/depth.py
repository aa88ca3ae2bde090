"""Where samples leave: the share of each exit along the budgets of a method."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from bench.report.context import CellReport
from bench.report.figures.canvas import sheet
from bench.report.figures.curves import panel_title, tidy
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import keys, marks_told, point_state, seeds_told
from bench.report.style import SHADES, settings

COLUMNS = 4


def depth(report: CellReport) -> Drawing:
    """Draw a panel per method: exits by budgets, shaded by the share of test samples."""
    data = depth_data(report)
    names = list(dict.fromkeys(data["method"]))
    budgets, exits = sorted(set(data["budget"])), int(data["exit"].max()) + 1
    states = data.drop_duplicates(["method", "budget"])
    with mpl.rc_context(settings()):
        columns = min(COLUMNS, max(len(names), 2))
        rows = -(-len(names) // columns)
        row, gap, bottom, top = (1.2 if rows > 1 else 1.9), (0.16, 0.34), 0.62, 0.3
        body = bottom + rows * row + (rows - 1) * gap[1] + top
        gone = len(names) * len(budgets) > len(states)
        told = [
            seeds_told(states["seeds"], "shade: share of samples"),
            *(text.replace("hollow", "○") for text in keys(states["state"])),
            "hatched: no result" if gone else "",
        ]
        page = sheet(
            "Where samples leave, budget by budget", report.name, width=9.2, body=body, keys=told,
            warnings=report.cell.warnings,
        )  # fmt: skip
        grid = page.grid(len(names), columns, left=0.7, right=0.75, bottom=bottom, row=row, gap=gap, top=top)
        for i, (axes, name) in enumerate(zip(grid, names, strict=True)):
            _panel(axes, data[data["method"] == name], budgets, exits)
            panel_title(axes, name)
            tidy(axes, i, len(names), columns)
        bar = page.figure.colorbar(
            ScalarMappable(Normalize(0, 100), SHADES),
            cax=page.axes(9.2 - 0.6, bottom + 0.05, 0.12, min(body - bottom - top, 2.2) - 0.1),
        )
        bar.ax.set_title("%", fontsize=8, pad=4)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        page.text(page.width / 2, 0.1, "budget, fraction of the plain backbone's MACs", ha="center", fontsize=9.5)
        page.text(0.1, bottom + (body - bottom) / 2, "exit (0: the earliest)", rotation=90, va="center", fontsize=9.5)
    caption = (
        "Each column is a policy for one budget, each row an exit; the shade is the share of test samples that leave "
        "there, mean over seeds. × over a column: one exit takes more than 95 %. ○: seeds are missing."
    )
    return Drawing(page.figure, data, caption + marks_told(report.statistics.methods))


def depth_data(report: CellReport) -> pd.DataFrame:
    """Return the mean share of each exit by method (in the leaderboard's order) and budget."""
    found = []
    for m in report.statistics.methods:
        for p in m.points:
            told = point_state(report, p.marks, len(p.accuracy.seeds))
            for k, share in enumerate(p.depth):
                known = {"method": m.label, "budget": p.budget, "exit": k, "share": share}
                found.append(known | {"seeds": len(p.accuracy.seeds), "state": told})
    if not found:
        raise Missing("No record of a method says where samples leave.")
    return pd.DataFrame(found)


def _panel(axes: Axes, mine: pd.DataFrame, budgets: list[float], exits: int) -> None:
    shares = np.full((exits, len(budgets)), np.nan)
    states = {}
    for line in mine.itertuples():
        shares[int(line.exit), budgets.index(line.budget)] = line.share * 100
        states[line.budget] = line.state
    axes.set_facecolor("white")
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=100, aspect="auto", interpolation="nearest", origin="lower")
    for i, budget in enumerate(budgets):
        if np.isnan(shares[:, i]).all():
            axes.axvspan(i - 0.5, i + 0.5, facecolor="#F4F4F4", edgecolor="#BBBBBB", hatch="////", linewidth=0)
        elif states[budget] != "whole":
            sign = {"collapsed": "x", "partial": "o"}[states[budget]]
            style = {"markerfacecolor": "none", "markeredgecolor": "black", "clip_on": False, "zorder": 6}
            axes.plot([i], [exits - 0.5 + exits * 0.035], sign, markersize=4, **style)
    axes.set_xticks(range(len(budgets)), [f"{b:g}".removeprefix("0") or "0" for b in budgets])
    axes.set_yticks(range(0, exits, 2 if exits > 7 else 1))
    axes.set_ylim(-0.5, exits - 0.5)
    axes.grid(visible=False)
