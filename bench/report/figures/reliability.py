"""Reliability: does a policy that says 80 % answer 80 % of such samples right?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report.context import CellReport
from bench.report.figures.canvas import sheet
from bench.report.figures.curves import panel_title, tidy
from bench.report.figures.exits import MIDDLE, in_order
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import marks_told, seeds_told
from bench.report.style import REFERENCE, settings
from bench.trials.record import Record

COLUMNS = 4
BINS = 15
Confidences = Callable[[Record], Mapping[str, NDArray[np.float64]] | None]  # of test samples: confidence, correct


def reliability(report: CellReport, confidences: Confidences | None) -> Drawing:
    """Draw a panel per method at one budget: accuracy by confidence in BINS bins of equal width, over all seeds."""
    if confidences is None:
        raise Missing("Records hold no confidences of single samples, and no stored outcomes were given.")
    data = reliability_data(report, confidences)
    names, budget = in_order(report, data), float(data["budget"].iloc[0])
    with mpl.rc_context(settings()):
        columns = min(COLUMNS, max(len(names), 2))
        rows = -(-len(names) // columns)
        row, gap, bottom, top = (1.45 if rows > 1 else 2.1), (0.16, 0.34), 0.6, 0.3
        body = bottom + rows * row + (rows - 1) * gap[1] + top
        told = [seeds_told(data["seeds"], "all samples of all seeds together"), "area: share of samples"]
        page = sheet(
            f"Reliability at budget {budget:g}", report.name, width=9.2, body=body, keys=[*told, "below the line: overconfident"],
            warnings=report.cell.warnings,
        )  # fmt: skip
        grid = page.grid(len(names), columns, left=0.7, right=0.12, bottom=bottom, row=row, gap=gap, top=top)
        for i, (axes, name) in enumerate(zip(grid, names, strict=True)):
            mine, look = data[data["method"] == name], report.looks[name]
            axes.plot([0, 100], [0, 100], color=REFERENCE, linewidth=0.9, zorder=1)
            x, y = mine["confidence"] * 100, mine["accuracy"] * 100
            axes.plot(x, y, color=look.colour, linewidth=1.2, zorder=3)
            axes.scatter(x, y, s=4 + 160 * mine["share"], color=look.colour, linewidth=0.5, edgecolor="white", zorder=4)
            axes.set_xlim(0, 103)
            axes.set_ylim(0, 103)
            panel_title(axes, name)
            tidy(axes, i, len(names), columns)
        page.text(page.width / 2, 0.1, "confidence, %", ha="center", fontsize=9.5)
        page.text(0.1, bottom + (body - bottom) / 2, "accuracy on test, %", rotation=90, va="center", fontsize=9.5)
    caption = (
        f"Every method at budget {budget:g}: mean confidence and accuracy of the answers that it gave on test, in "
        f"{BINS} bins of equal width; the area of a circle is the share of samples in its bin. All seeds together."
    )
    return Drawing(page.figure, data, caption + marks_told(report.statistics.methods))


def reliability_data(report: CellReport, confidences: Confidences) -> pd.DataFrame:
    """Return a row per method and bin with samples. Raises Missing where no record has stored confidences."""
    budgets = sorted({r.point.budget for r in report.records if r.point.budget is not None})
    if not budgets:
        raise Missing("No record has a budget.")
    budget = min(budgets, key=lambda b: (abs(b - MIDDLE), b))
    newest: dict[tuple[str, int], Record] = {}
    for record in sorted(report.records, key=lambda r: (r.created, r.id)):
        if record.point.kind == "method" and record.point.budget == budget and record.status == "ok":
            newest[record.point.label, record.point.seed] = record
    held: dict[str, list[Mapping[str, NDArray[np.float64]]]] = {}
    for (label, _), record in sorted(newest.items()):
        arrays = confidences(record)
        if arrays is not None:
            held.setdefault(label, []).append(arrays)
    # seeds are put together only where none of a method's is unknown
    owed = {label: sum(name == label for name, _ in newest) for label in held}
    tables = [_bins(label, arrays) for label, arrays in held.items() if len(arrays) == owed[label]]
    if not tables:
        raise Missing("Records hold no confidences of single samples, and no outcomes are stored beside them.")
    return pd.concat(tables, ignore_index=True).assign(budget=budget)


def _bins(label: str, arrays: list[Mapping[str, NDArray[np.float64]]]) -> pd.DataFrame:
    confidence = np.concatenate([a["confidence"] for a in arrays]).astype(float)
    correct = np.concatenate([a["correct"] for a in arrays]).astype(float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    there = np.flatnonzero(counts)
    return pd.DataFrame(
        {
            "method": label,
            "bin": there,
            "confidence": np.bincount(bins, confidence, BINS)[there] / counts[there],
            "accuracy": np.bincount(bins, correct, BINS)[there] / counts[there],
            "share": counts[there] / counts.sum(),
            "seeds": len(arrays),
        }
    )
