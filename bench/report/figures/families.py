"""Scores against cost in a small panel per family of methods, on common axes, with all other methods in grey."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.cells import warnings
from bench.report.figures import lines
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.curves import Chart, ranges
from bench.report.figures.points import cost_label
from bench.report.style import MOST_LINES, families, settings

COLUMNS, WIDTH, LEFT, RIGHT, BOTTOM, HIGH = 3, 9.2, 0.7, 0.12, 0.42, 1.75  # inches
ACROSS, TITLE, TICKS, NAME, SIZE = 0.2, 0.24, 0.24, 0.155, 7.5  # inches, and points of names
BAND = 0.12


def panels(chart: Chart) -> Figure:
    """Draw a panel per family; its methods have their own colours and are named below it."""
    report = chart.report
    groups = [(family, part) for family, names in families(x.name for x in chart.lines).items() for part in cut(names)]
    rows = [groups[start : start + COLUMNS] for start in range(0, len(groups), COLUMNS)]
    wide = (WIDTH - LEFT - RIGHT - (COLUMNS - 1) * ACROSS) / COLUMNS
    below = [
        max(_lines(names, wide) for _, names in row) * NAME + 0.1 for row in rows
    ]  # inches for names below each row
    height = sum(below) + len(rows) * (TITLE + HIGH + TICKS)
    with mpl.rc_context(settings()):
        keys = [*chart.keys, "grey lines: the other methods", *(f"{r.key}: {r.name}" for r in chart.references)]
        page = sheet(width=WIDTH, body=BOTTOM + height, keys=[*keys, chart.aside], warnings=warnings(report.cell))
        shown, top = ranges(chart), BOTTOM + height
        for row, names_below in zip(rows, below, strict=True):
            top -= TITLE + HIGH
            for column, (family, names) in enumerate(row):
                axes = page.axes(LEFT + column * (wide + ACROSS), top, wide, HIGH)
                _panel(axes, chart.highlighting(names), family, wide)
                shown.apply(axes)
                shown.beyond(axes, chart.highlighting(names).lines, chart.highlighting(names).looks)
                axes.set_xticks([0.25, 0.5, 0.75, 1.0], ["0.25", "0.5", "0.75", "1"])
                axes.tick_params(labelsize=8, pad=2, labelleft=column == 0)
                sns.despine(ax=axes)
            top -= TICKS + names_below
        page.text(LEFT + (WIDTH - LEFT - RIGHT) / 2, 0.1, cost_label(report), ha="center", fontsize=9.5)
        page.text(0.1, BOTTOM + height / 2, chart.ylabel, rotation=90, va="center", fontsize=9.5)
        return page.figure


def cut(names: Sequence[str]) -> list[Sequence[str]]:
    """Split names into parts of at most MOST_LINES, so that each name can have its own hue."""
    return [names[start : start + MOST_LINES] for start in range(0, len(names), MOST_LINES)]


def _panel(axes: mpl.axes.Axes, chart: Chart, family: str, wide: float) -> None:
    lines.others(axes, chart.others)
    for reference in chart.references:
        lines.reference(axes, reference, small=True)
    looks = chart.looks
    for line in chart.lines:
        lines.draw(axes, line, looks[line.name], band=BAND if chart.bands else 0.0, size=4.0)
    names = [line.name for line in chart.lines]
    handles = [
        Line2D([], [], label=short, **lines.sample(looks[name]) | {"markersize": 4.0, "linewidth": 1.2})
        for name, short in zip(names, fit(names, wide - 0.45, SIZE), strict=True)
    ]
    axes.set_title(family, fontsize=9, loc="left", pad=3)
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(-0.04, -TICKS / HIGH), ncols=_columns(names, wide),
        fontsize=SIZE, frameon=False, handlelength=2.0, columnspacing=1.0, labelspacing=0.25, borderaxespad=0.0,
    )  # fmt: skip


def _columns(names: Sequence[str], wide: float) -> int:
    return 2 if max(inches(name, SIZE) for name in names) < wide / 2 - 0.36 else 1


def _lines(names: Sequence[str], wide: float) -> int:
    return -(-len(names) // _columns(names, wide))
