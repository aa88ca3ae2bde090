"""The calibration of each exit, for methods and for their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import fit, sheet
from bench.report.figures.exits import LEAST, in_order, per_exit
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.labels import SIZE, Label, beside, room
from bench.report.figures.lines import label, sample
from bench.report.style import MOST_LINES, REFERENCE, Look, settings

MEAN = "mean of methods"
BLACK = {"color": "black", "linewidth": 2.0, "marker": "o", "markersize": 4.5}
GREY = {"color": "#B4B4B4", "linewidth": 0.8, "marker": "o", "markersize": 2.5}
COLUMNS = ("ece_mass15_all", "share", "accuracy_exited", "mean_confidence_exited")


def exit_calibration(report: CellReport) -> Drawing:
    """Draw the ECE of each exit on all samples, and confidence minus accuracy on the samples that leave there."""
    data = calibration_data(report)
    methods = in_order(report, data)
    complete = int(data[data["method"] != "mean"].groupby("method")["complete"].first().sum())
    many = len(methods) > MOST_LINES
    with mpl.rc_context(settings()):
        notes = [
            f"black: mean of the {complete} methods with a complete grid" if complete else "no complete grid: no mean",
            f"{'grey' if many else 'coloured'}: individual methods ({len(methods)}), mean over budgets and seeds",
            "hollow: not all seeds",
        ]
        notes = notes if complete < len(methods) else notes[:2]
        page = sheet(width=9.2, body=3.45, keys=notes, warnings=warnings(report.cell))
        names = [] if many else fit(methods, 2.2, SIZE)
        wide = (9.2 - 0.7 - 0.8 - (room([*names, MEAN]) if names else 0.1)) / 2
        left, right = page.axes(0.7, 0.55, wide, 2.6), page.axes(1.5 + wide, 0.55, wide, 2.6)
        looks = {} if many else report.looks
        _side(left, data, "ece", "all test samples", "ECE, % (15 bins of equal mass)", looks)
        _side(right, data, "gap", "samples that leave at the exit", "confidence minus accuracy, points", looks)
        if names:
            beside(right, _labels(data, methods, names, looks))
        right.axhline(0, color=REFERENCE, linewidth=0.9, zorder=1)
    caption = (
        "Left: calibration error of each exit on all test samples. Right: mean confidence minus accuracy of the "
        f"samples that leave there (exits with at least {100 * LEAST:g} % of them); above zero: overconfident. The "
        "mean counts each complete method once. Methods with the same heads have the same line on the left."
    )
    return Drawing(page.figure, data, caption)


def calibration_data(report: CellReport) -> pd.DataFrame:
    """Return `ece` and `gap` per method and exit, and a method 'mean' over the methods with a complete grid."""
    raw = per_exit(report, COLUMNS)
    if raw["ece_mass15_all"].isna().all():
        raise Missing("No record has the calibration error of single exits.")
    weight = raw["share"].where(raw["accuracy_exited"].notna(), 0.0).fillna(0.0)
    raw = raw.assign(
        weight=weight, over=((raw["mean_confidence_exited"] - raw["accuracy_exited"]) * weight).fillna(0.0)
    )
    data = (
        raw.groupby(["method", "exit"], sort=True)
        .agg(ece=("ece_mass15_all", "mean"), over=("over", "mean"), share=("weight", "mean"), points=("seed", "count"))
        .reset_index()
    )
    data["gap"] = (data["over"] / data["share"]).where(data["share"] >= LEAST)
    whole = {m.label for m in report.statistics.methods if m.complete}
    data["complete"] = data["method"].isin(whole)
    data = data[["method", "exit", "ece", "gap", "share", "points", "complete"]]
    kept = data[data["complete"]]
    if not len(kept):
        return data
    mean = kept.groupby("exit").agg(ece=("ece", "mean"), gap=("gap", "mean"), there=("gap", "count")).reset_index()
    mean["gap"] = mean["gap"].where(mean["there"] * 2 >= len(whole))
    mean = mean.assign(method="mean", points=len(whole), complete=True)[
        ["method", "exit", "ece", "gap", "points", "complete"]
    ]
    return pd.concat([data, mean], ignore_index=True)


def _side(axes: Axes, data: pd.DataFrame, column: str, title: str, label: str, looks: Mapping[str, Look]) -> None:
    for name, mine in data.groupby("method", sort=True):
        known = mine[mine[column].notna()]
        style: dict[str, Any] = dict(BLACK) if name == "mean" else {**GREY}
        if str(name) in looks:
            style = {**sample(looks[str(name)]), "linewidth": 1.2, "markersize": 4}
        if not mine["complete"].iloc[0]:
            style["markerfacecolor"] = "white"
        axes.plot(known["exit"], known[column] * 100, **style, zorder=4 if name == "mean" else 3)
    axes.set_title(title, fontsize=9.5, loc="left", pad=4)
    axes.set_xlabel("exit (0: the earliest)")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    sns.despine(ax=axes)


def _labels(data: pd.DataFrame, methods: Sequence[str], names: Sequence[str], looks: Mapping[str, Look]) -> list[Label]:
    """Return labels for the ends of the lines in the right panel."""
    found = []
    shown = [*((m, short, sample(looks[m])) for m, short in zip(methods, names, strict=True)), ("mean", MEAN, BLACK)]
    for method, short, style in shown:
        known = data[(data["method"] == method) & data["gap"].notna()]
        if len(known):
            found.append(label(short, known.assign(x=known["exit"], y=known["gap"] * 100), style))
    return found
