"""Reliability: accuracy by confidence. A calibrated policy is right on 80 % of the samples with confidence 80 %."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.exits import LEAST, MIDDLE, in_order, middle_budget, per_exit
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.grid import area_key, panels
from bench.report.figures.points import budget_signs, sign_keys
from bench.report.style import REFERENCE, settings
from bench.report.text import seeds_phrase
from bench.trials.record import Record

AREA = 300.0  # points², area of a circle for all samples
FEWEST = 30  # bins with fewer test samples are left out, because their accuracy is noise
BY_EXIT = "with one circle per exit, because records have no bins; exits where few samples leave are left out"


def reliability(report: CellReport) -> Drawing:
    """Draw a panel per method at one budget: accuracy by confidence, over all seeds.

    It uses bins of equal width if the records have them; otherwise the samples that leave at an exit are a bin.
    """
    data = binned_data(report)
    binned = data is not None
    data = exit_data(report) if data is None else data
    names, budget = in_order(report, data), float(data["budget"].iloc[0])
    signs = budget_signs(report, budget)
    counts = sorted(set(data["seeds"]))
    many = seeds_phrase(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    circles = "circles: confidence bins" if binned else "circles: the samples that leave at an exit"
    notes = [f"{circles}, area: share", "below the line: overconfident"]
    with mpl.rc_context(settings()):
        grid = panels(
            report,
            names,
            "confidence, %",
            "accuracy on test, %",
            keys=[*notes, *sign_keys(signs)],
            row=(1.45, 2.1),
            signs=signs,
        )
        for name, axes in grid:
            mine, look = data[data["method"] == name], report.looks[name]
            axes.plot([0, 100], [0, 100], color=REFERENCE, linewidth=0.9, zorder=1)
            x, y = mine["confidence"] * 100, mine["accuracy"] * 100
            if binned:
                axes.plot(x, y, color=look.colour, linewidth=1.2, zorder=3)
            style: dict[str, Any] = {"color": look.colour, "edgecolor": "white", "linewidth": 0.4, "clip_on": False}
            axes.scatter(x, y, s=3 + AREA * mine["share"], zorder=4, **style)
            axes.set_xlim(0, 103)
            axes.set_ylim(0, 103)
        grid.finish()
        area_key(grid, AREA)
    where = f"in 15 bins of equal width; bins with fewer than {FEWEST} test samples are left out" if binned else BY_EXIT
    caption = (
        f"Mean confidence and accuracy of each method's answers on test at budget {budget:g}, {many} pooled, {where}."
    )
    return Drawing(grid.page.figure, data, caption)


def exit_data(report: CellReport) -> pd.DataFrame:
    """Return a row per method and exit at which samples leave. Raises Missing if the records do not have the data."""
    raw = per_exit(report, ("mean_confidence_exited", "accuracy_exited", "share"))
    budget = middle_budget(raw)
    raw = raw[(raw["budget"] == budget) & raw["mean_confidence_exited"].notna()]
    if not len(raw):
        raise Missing("No record has the confidence of the samples that leave at an exit.")
    raw = raw.assign(
        sure=raw["mean_confidence_exited"] * raw["share"], right=raw["accuracy_exited"] * raw["share"], n=raw["share"]
    )
    sums = raw.groupby(["method", "budget", "exit"], sort=True)[["sure", "right", "n"]].sum().reset_index()
    seeds = raw.groupby("method")["seed"].nunique()
    sums = sums.assign(
        confidence=sums["sure"] / sums["n"],
        accuracy=sums["right"] / sums["n"],
        seeds=sums["method"].map(seeds),
        share=sums["n"] / sums["method"].map(seeds),
    )
    kept = sums[sums["share"] >= LEAST]
    return kept[["method", "budget", "exit", "confidence", "accuracy", "share", "seeds"]].reset_index(drop=True)


def binned_data(report: CellReport) -> pd.DataFrame | None:
    """Return a row per method and bin with enough samples, for methods whose records all have bins; None if none has.

    The seeds share a test set, so the size of a bin is its mean over seeds. Raises Missing if no bin has enough
    samples.
    """
    budgets = sorted({r.point.budget for r in report.records if r.point.budget is not None})
    if not budgets:
        return None
    budget = min(budgets, key=lambda b: (abs(b - MIDDLE), b))
    held: dict[str, list[Record]] = {}
    for record in report.newest:
        if record.point.kind == "method" and record.point.budget == budget and record.status == "ok":
            held.setdefault(record.point.label, []).append(record)
    # seeds of a method are pooled only if all of them have bins
    tables = [_bins(label, mine) for label, mine in held.items() if all(record.reliability for record in mine)]
    if not tables:
        return None
    data = pd.concat(tables, ignore_index=True).assign(budget=budget)
    if not len(data):
        raise Missing(f"No confidence bin has {FEWEST} test samples at budget {budget:g}.")
    return data


def _bins(label: str, records: list[Record]) -> pd.DataFrame:
    lines = pd.DataFrame([line for r in records for line in r.reliability], columns=["bin", "n", "sure", "right"])
    sums = lines.assign(sure=lines["sure"] * lines["n"], right=lines["right"] * lines["n"]).groupby("bin").sum()
    sums = sums.assign(share=sums["n"] / sums["n"].sum())
    sums = sums[sums["n"] >= FEWEST * len(records)]
    found: dict[str, Any] = {"method": label, "bin": sums.index, "confidence": sums["sure"] / sums["n"]}
    found |= {"accuracy": sums["right"] / sums["n"], "share": sums["share"], "seeds": len(records)}
    return pd.DataFrame(found).reset_index(drop=True)
