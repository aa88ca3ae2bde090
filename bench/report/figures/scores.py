"""Calibration error and size of conformal sets against cost."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.report.context import CellReport
from bench.report.figures.curves import Chart, one
from bench.report.figures.families import panels
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.lines import STATIC, Line, Reference
from bench.report.figures.points import HOLLOW, exit_numbers, keys, points, seeds_described
from bench.report.style import MOST_LINES

ALPHA = 0.05
CLIPPED = "Values far above all others are marked at the edge."


def ece(report: CellReport) -> Drawing:
    """Draw the expected calibration error (15 bins of equal mass) of the policies against cost."""
    chart, data = ece_chart(report)
    caption = (
        "Expected calibration error (15 bins of equal mass) of each policy's answers on test, against realised cost, "
        f"{_seeds(data)}. {CLIPPED}"
    )
    return Drawing(_figure(chart), data, caption)


def ece_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of the expected calibration error, and its data. Raises Missing if no record has it."""
    data = points(report, "ece_mass15")
    _needed(data, "No record has an expected calibration error.")
    return _chart(report, data, "ece_mass15", 100.0, "ECE, % (lower is better)"), data


def inefficiency(report: CellReport) -> Drawing:
    """Draw the mean size of LAC sets against cost; points whose coverage is not explained by chance are hollow."""
    chart, data = set_size_chart(report)
    methods = data["series"] == "method"
    out, total = int((data["hollow"] & methods).sum()), int(methods.sum())
    caption = (
        f"Mean size of conformal (LAC) sets at α = {ALPHA:g}, calibrated on cal, {_seeds(data)}. Hollow: mean "
        f"coverage outside the 95 % Beta-binomial band of one seed ({out} of {total} policies). "
        f"{CLIPPED}"
    )
    return Drawing(_figure(chart), data, caption)


def set_size_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of the mean size of LAC sets, and its data. Raises Missing if no record has it."""
    metric, coverage = f"set_size_lac@{ALPHA:g}", f"coverage_lac@{ALPHA:g}"
    low, high = (f"coverage_band_{end}@{ALPHA:g}" for end in ("low", "high"))
    data = points(report, metric, coverage, low, high)
    _needed(data, "No record has sizes of LAC sets, which need the logits with which samples leave.")
    data["hollow"] = (data[coverage] < data[low]) | (data[coverage] > data[high])
    return _chart(report, data, metric, 1.0, "classes per LAC set (lower is better)", log=True), data


def _seeds(data: pd.DataFrame) -> str:
    return seeds_described(data.loc[data["series"] == "method", "seeds"], "bars: 95 % t intervals over seeds")


def _needed(data: pd.DataFrame, reason: str) -> None:
    if not (data["series"] == "method").any():
        raise Missing(reason)


def _figure(chart: Chart) -> Figure:
    return panels(chart) if len(chart.lines) > MOST_LINES else one(chart)


def _chart(
    report: CellReport, data: pd.DataFrame, metric: str, scale: float, label: str, *, log: bool = False
) -> Chart:
    shown = data.rename(columns={"macs_fraction": "x", metric: "y"})
    shown[["y", "low", "high"]] *= scale
    methods = shown[shown["series"] == "method"]
    order = [m.label for m in report.statistics.methods]
    lines = [Line(name, methods[methods["method"] == name].sort_values("budget")) for name in order]
    static = shown[shown["series"] == "static"].sort_values("x", kind="stable")
    static = static.assign(number=static["point"].map(exit_numbers(report)))
    notes = keys(methods)
    if "hollow" in methods:
        notes = [text for text in notes if text != HOLLOW]
        gaps = ", or not all seeds" if methods["incomplete"].any() else ""
        out = methods["hollow"].any() or gaps
        notes += [f"hollow: coverage that chance does not explain{gaps}"] if out else []
    return Chart(
        report,
        label,
        [line for line in lines if len(line.points)],
        [Reference("static exits", static, STATIC, "grey dots")] if len(static) else [],
        notes,
        log,
        clip=True,
    )
