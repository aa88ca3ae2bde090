"""The accuracy of each exit at one budget: on the samples that leave there, and on all samples."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.exits import LEAST, in_order, middle_budget, per_exit
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.grid import area_key, panels
from bench.report.figures.points import budget_signs, seeds_described, sign_keys
from bench.report.style import REFERENCE, settings

AREA = 420.0  # points², area of a circle for all samples
SCORES = ("share", "accuracy_exited", "accuracy_all")


def decomposition(report: CellReport) -> Drawing:
    """Draw a panel per method at one budget: a circle for the samples that leave at an exit, a line for all samples."""
    raw = per_exit(report, SCORES)
    budget = middle_budget(raw)
    raw = raw[raw["budget"] == budget]
    if raw["accuracy_exited"].isna().all():
        raise Missing("No record has the accuracy of the samples that leave at an exit.")
    data = by_exit(raw)
    names = in_order(report, data)
    signs = budget_signs(report, budget)
    with mpl.rc_context(settings()):
        notes = [
            "circles: samples that leave at an exit, area: their share",
            "grey: the same exit on all samples",
            *sign_keys(signs),
        ]
        grid = panels(report, names, "exit (0: the earliest)", "accuracy on test, %", keys=notes, signs=signs)
        values = 100 * data[["accuracy_exited", "accuracy_all"]].to_numpy()
        least, top = float(np.nanmin(values)), float(np.nanmax(values))
        last = int(data["exit"].max())
        for name, axes in grid:
            mine, look = data[data["method"] == name], report.looks[name]
            axes.plot(mine["exit"], mine["accuracy_all"] * 100, color=REFERENCE, linewidth=1.1, marker=".", zorder=2)
            axes.scatter(
                mine["exit"], mine["accuracy_exited"] * 100, s=AREA * mine["share"], color=look.colour, alpha=0.8,
                linewidth=0.5, edgecolor="white", zorder=3,
            )  # fmt: skip
            axes.set_xlim(-0.7, last + 0.7)
            axes.set_ylim(max(least - 12, -5), min(top + 12, 108))
            axes.set_xticks(range(0, last + 1, 2 if last > 7 else 1))
        grid.finish()
        area_key(grid, AREA)
    caption = (
        f"Every method at budget {budget:g}, {seeds_described(data['seeds'], 'intervals are in the tables')}. A "
        "circle above the grey line: the samples that leave there are easier than average. Exits where fewer than "
        "0.5 % leave have no circle."
    )
    return Drawing(grid.page.figure, data, caption)


def by_exit(raw: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds; the accuracy of leaving samples pools all seeds and is NaN if fewer than 0.5 % leave."""
    raw = raw.assign(right=(raw["accuracy_exited"] * raw["share"]).fillna(0.0))
    grouped = raw.groupby(["method", "budget", "exit"], sort=True)
    data = grouped.agg(
        share=("share", "mean"), right=("right", "mean"), accuracy_all=("accuracy_all", "mean"), seeds=("seed", "count")
    ).reset_index()
    shown = data["share"] >= LEAST
    data["accuracy_exited"] = (data["right"] / data["share"].where(shown)).where(shown)
    return data[["method", "budget", "exit", "share", "accuracy_exited", "accuracy_all", "seeds"]]
