"""Exit by exit at one budget: how right is an exit on the samples that leave there, and how right on all?"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.canvas import Sheet, sheet
from bench.report.figures.curves import panel_title, tidy
from bench.report.figures.exits import in_order, middle_budget, per_exit
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import marks_told, seeds_told
from bench.report.style import REFERENCE, settings

COLUMNS = 4
AREA = 260.0  # points², of a circle that stands for all samples
SCORES = ("share", "accuracy_exited", "accuracy_all")


def decomposition(report: CellReport) -> Drawing:
    """Draw a panel per method at one budget: circles for samples that leave at an exit, a line for all samples."""
    raw = per_exit(report, SCORES)
    budget = middle_budget(report, raw)
    raw = raw[raw["budget"] == budget]
    if raw["accuracy_exited"].isna().all():
        raise Missing("No record holds the accuracy of the samples that leave at an exit.")
    data = by_exit(raw)
    names = in_order(report, data)
    with mpl.rc_context(settings()):
        columns = min(COLUMNS, max(len(names), 2))
        page, grid = _grid(report, names, columns, budget, data)
        top = 100 * float(np.nanmax(data[["accuracy_exited", "accuracy_all"]].to_numpy()))
        last = int(data["exit"].max())
        for i, (axes, name) in enumerate(zip(grid, names, strict=True)):
            mine, look = data[data["method"] == name], report.looks[name]
            axes.plot(mine["exit"], mine["accuracy_all"] * 100, color=REFERENCE, linewidth=1.2, marker=".", zorder=2)
            axes.scatter(
                mine["exit"], mine["accuracy_exited"] * 100, s=AREA * mine["share"], color=look.colour, alpha=0.75,
                linewidth=0.6, edgecolor="white", zorder=3,
            )  # fmt: skip
            axes.set_xlim(-0.7, last + 0.7)
            axes.set_ylim(0, min(top + 12, 108))
            axes.set_xticks(range(0, last + 1, 2 if last > 7 else 1))
            panel_title(axes, name)
            tidy(axes, i, len(names), columns)
        page.text(page.width / 2, 0.1, "exit (0: the earliest)", ha="center", fontsize=9.5)
        page.text(0.1, 0.6 + (page.body - 0.6) / 2, "accuracy on test, %", rotation=90, va="center", fontsize=9.5)
    caption = (
        f"Every method at budget {budget:g}. Circles: accuracy of an exit on the samples that leave there, their area "
        "the share of samples; exits where fewer than 0.5 % leave are left out. Grey: the same exit on all samples. "
        "A circle above the grey line: the samples that leave are easier than most. Means over seeds; the accuracy of "
        "leaving samples is weighted by how many they are."
    )
    return Drawing(page.figure, data, caption + marks_told(report.statistics.methods))


def by_exit(raw: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds; accuracy on leaving samples is that of all of them together, NaN below half a percent."""
    raw = raw.assign(right=(raw["accuracy_exited"] * raw["share"]).fillna(0.0))
    grouped = raw.groupby(["method", "budget", "exit"], sort=True)
    data = grouped.agg(
        share=("share", "mean"), right=("right", "mean"), accuracy_all=("accuracy_all", "mean"), seeds=("seed", "count")
    ).reset_index()
    shown = data["share"] >= 0.005
    data["accuracy_exited"] = (data["right"] / data["share"].where(shown)).where(shown)
    return data[["method", "budget", "exit", "share", "accuracy_exited", "accuracy_all", "seeds"]]


def _grid(
    report: CellReport, names: list[str], columns: int, budget: float, data: pd.DataFrame
) -> tuple[Sheet, list[mpl.axes.Axes]]:
    rows = -(-len(names) // columns)
    row, gap, bottom, top = (1.2 if rows > 1 else 1.9), (0.16, 0.34), 0.6, 0.3
    body = bottom + rows * row + (rows - 1) * gap[1] + top
    told = [
        seeds_told(data["seeds"], "intervals are in the tables"),
        "circles: samples that leave at an exit, area: their share",
        "grey: the same exit on all samples",
    ]
    page = sheet(
        f"Accuracy exit by exit at budget {budget:g}",
        report.name,
        width=9.2,
        body=body,
        keys=told,
        warnings=report.cell.warnings,
    )
    grid = page.grid(len(names), columns, left=0.7, right=0.12, bottom=bottom, row=row, gap=gap, top=top)
    return page, grid
