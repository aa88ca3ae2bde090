"""Calibration error and size of conformal sets against cost."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.report.context import CellReport
from bench.report.figures.curves import Chart, one, panels
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.lines import STATIC, Line, Reference
from bench.report.figures.points import HOLLOW, exit_numbers, flags_described, keys, points, seeds_described
from bench.report.style import MOST_LINES

ALPHA = 0.05
OVER_SEEDS = "95 % t intervals over seeds"


def ece(report: CellReport) -> Drawing:
    """Draw the expected calibration error of the answers that were given, 15 bins of equal mass, against cost."""
    chart, data = ece_chart(report)
    caption = (
        "Expected calibration error of the answers that each policy gave on test, over 15 bins of equal mass, at the "
        "cost it had. Bars: 95 % t intervals over seeds, on this test set. Static exits send all samples to one exit."
    )
    return Drawing(_figure(chart), data, caption + flags_described(report.statistics.methods))


def ece_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of the expected calibration error, and its data. Raises Missing if no record has it."""
    data = points(report, "ece_mass15")
    _needed(data, "No record has an expected calibration error.")
    title, label = "Calibration error against cost", "ECE, % (lower is better)"
    return _chart(report, data, "ece_mass15", 100.0, title, label), data


def inefficiency(report: CellReport) -> Drawing:
    """Draw the mean size of LAC sets against cost; points that cover less than 1 - ALPHA on test are hollow."""
    chart, data = set_size_chart(report)
    methods = data["series"] == "method"
    under, total = int((data["hollow"] & methods).sum()), int(methods.sum())
    caption = (
        f"Mean number of classes in split conformal (LAC) sets at a fixed α of {ALPHA:g}, calibrated on cal; α is "
        f"never tuned on test. Only filled points cover at least {100 * (1 - ALPHA):g} % of the test samples, mean "
        f"over seeds: their sizes compare. {under} of {total} points of methods cover less and are hollow; a "
        "calibrated set does so about half of the time, see the figure of requested and empirical coverage. Bars: 95 % "
        "t intervals over seeds."
    )
    return Drawing(_figure(chart), data, caption + flags_described(report.statistics.methods))


def set_size_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of the mean size of LAC sets, and its data. Raises Missing if no record has it."""
    metric, coverage = f"set_size_lac@{ALPHA:g}", f"coverage_lac@{ALPHA:g}"
    data = points(report, metric, coverage)
    _needed(data, "No record has sizes of LAC sets: they need the logits that samples left with.")
    data["hollow"] = data[coverage] < 1 - ALPHA
    title = f"Size of conformal sets against cost, α = {ALPHA:g}"
    return _chart(report, data, metric, 1.0, title, "classes per LAC set (lower is better)", log=True), data


def _needed(data: pd.DataFrame, reason: str) -> None:
    if not (data["series"] == "method").any():
        raise Missing(reason)


def _figure(chart: Chart) -> Figure:
    return panels(chart) if len(chart.lines) > MOST_LINES else one(chart)


def _chart(
    report: CellReport, data: pd.DataFrame, metric: str, scale: float, title: str, label: str, *, log: bool = False
) -> Chart:
    shown = data.rename(columns={"macs_fraction": "x", metric: "y"})
    shown[["y", "low", "high"]] *= scale
    methods = shown[shown["series"] == "method"]
    order = [m.label for m in report.statistics.methods]
    lines = [Line(name, methods[methods["method"] == name].sort_values("budget")) for name in order]
    static = shown[shown["series"] == "static"].sort_values("x", kind="stable")
    static = static.assign(number=static["point"].map(exit_numbers(report)))
    notes = [seeds_described(methods["seeds"], f"bars: {OVER_SEEDS}"), *keys(methods)]
    if "hollow" in methods:
        notes = [text for text in notes if text != HOLLOW]
        gaps = ", or not all seeds" if methods["incomplete"].any() else ""
        notes += (
            [f"hollow: covers less than {100 * (1 - ALPHA):g} % of test{gaps}"]
            if methods["hollow"].any() or gaps
            else []
        )
    return Chart(
        report,
        title,
        label,
        [line for line in lines if len(line.points)],
        [Reference("static exits", static, STATIC, "grey dots")] if len(static) else [],
        notes,
        log,
    )
