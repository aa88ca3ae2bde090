"""Own gain against cost: the gain of a method's own policies over random mixtures of static exits."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.curves import Chart, foremost, one
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.lines import STATIC_HULL, Line, Reference
from bench.report.figures.points import seeds_described
from bench.report.style import MOST_LINES

FIELDS = ["method", "macs_fraction", "gain", "low", "high", "seeds", "incomplete", "collapsed"]


def gain(report: CellReport) -> Drawing:
    """Draw the gain of all methods; if there are many, the best ones in colour and the others in grey."""
    chart, data = gain_chart(report)
    names = [line.name for line in chart.lines]
    many = len(names) > MOST_LINES
    chart = chart.highlighting([name for name in foremost(report) if name in names] if many else names)
    caption = (
        "Accuracy on each method's own curve minus that of the static hull (random mixtures of static exits) at the "
        f"same cost, {seeds_described(data['seeds'], 'shaded: 95 % bootstrap intervals')}. Own gain is the mean over "
        "costs."
    )
    about = f" In colour: {len(chart.lines)} of {len(names)} methods, the best by own gain and the baseline."
    return Drawing(one(chart), data, caption + (about if chart.others else ""))


def gain_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of every method's gain in points at a cost equal to each budget, and its data.

    Raises Missing if no method has a gain, which needs static exits.
    """
    data = gain_data(report)
    if not len(data):
        raise Missing("No method has an own gain, which needs results of the method and of static exits.")
    shown = data.rename(columns={"macs_fraction": "x", "gain": "y"})
    shown[["y", "low", "high"]] *= 100
    lines = [
        Line(str(name), mine, mine[["x", "y"]], mine[["x", "low", "high"]].dropna())
        for name, mine in shown.groupby("method", sort=False)
    ]
    zero = pd.DataFrame({"x": [float(shown["x"].min()), 1.0], "y": [0.0, 0.0]})
    references = [Reference("static hull", zero, STATIC_HULL, "dashes")]
    return Chart(report, "own gain at this cost, points", lines, references), data


def gain_data(report: CellReport) -> pd.DataFrame:
    """Return a row per method and cost: accuracy on its own curve minus the static hull, with 95 % intervals."""
    cell = report.statistics
    rows = [
        (m.label, b.budget, b.gain.value, b.gain.low, b.gain.high, len(m.curve.seeds),
         len(m.curve.seeds) < len(cell.seeds), False)
        for m in cell.methods
        for b in m.curve.budgets
        if math.isfinite(b.gain.value)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=FIELDS)
