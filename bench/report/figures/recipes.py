"""Own gain by head recipe and exit rule, to show which of the two matters."""

from __future__ import annotations

import math
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import rows_of
from bench.report.style import DIVERGING, MISSING, settings

MINUS = "\N{MINUS SIGN}"


def recipes(report: CellReport) -> Drawing:
    """Draw own gain by rule and head recipe, for rules that were run on several recipes."""
    data = recipe_data(report)
    rules, heads = list(dict.fromkeys(data["rule"])), sorted(set(data["heads"]), key=lambda h: (h != "plain", h))
    with mpl.rc_context(settings()):
        labels = fit(rules, 2.6, 9)
        left = max(inches(label, 9) for label in labels) + 0.2
        cell = min(1.15, (9.2 - left - 1.1) / len(heads))
        width, height = max(left + cell * len(heads) + 1.1, 6.2), 0.36 * len(rules)
        incomplete = bool((~data["complete"]).any())
        keys = ["small: its 95 % interval", "–: incomplete grid" if incomplete else ""]
        page = sheet(width=width, body=height + 0.75, keys=keys, warnings=warnings(report.cell))
        axes = page.axes(left, 0.65, cell * len(heads), height)
        table = np.full((len(rules), len(heads)), np.nan)
        for line in rows_of(data):
            table[rules.index(line.rule), heads.index(line.heads)] = 100 * line.gain
        most = max(float(np.nanmax(np.abs(table))) if np.isfinite(table).any() else 0.0, 0.01)
        image = axes.imshow(table, cmap=DIVERGING, norm=TwoSlopeNorm(0, -most, most), aspect="auto")
        _numbers(axes, data, rules, heads, most)
        axes.set_xticks(range(len(heads)), fit(heads, cell - 0.05, 9), fontsize=9)
        axes.set_yticks(range(len(rules)), labels, fontsize=9)
        axes.set_xlabel("head recipe")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        bar = page.figure.colorbar(image, cax=page.axes(left + cell * len(heads) + 0.2, 0.65, 0.13, height))
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
    caption = (
        "Own gain in points of accuracy, the mean over costs of a method's own curve minus the static hull, per exit "
        "rule (rows) and head recipe (columns); blank: not run. Rules that were run on one recipe only are left out."
    )
    return Drawing(page.figure, data, caption)


def recipe_data(report: CellReport) -> pd.DataFrame:
    """Return a row per rule and recipe. Raises Missing unless two rules were each run on two recipes of heads."""
    found = []
    for m in report.statistics.methods:
        if m.heads is not None:
            gain = m.curve.own
            known = {"rule": rule_of(m.label), "heads": m.heads, "method": m.label, "complete": m.complete}
            value = (gain.value, gain.low, gain.high) if m.complete else (math.nan,) * 3
            found.append(known | dict(zip(("gain", "low", "high"), value, strict=True)))
    data = pd.DataFrame(found, columns=["rule", "heads", "method", "complete", "gain", "low", "high"])
    often = data.groupby("rule")["heads"].nunique()
    kept = data[data["rule"].isin(often.index[often >= 2])]
    if kept["rule"].nunique() < 2:
        raise Missing("Fewer than two exit rules were run on at least two recipes of heads each (`heads=`).")
    return kept.sort_values(["rule", "heads"], kind="stable").reset_index(drop=True)


def rule_of(label: str) -> str:
    """Return a method's label without the parameter that names its heads: `pcee[heads=ztw,bins=5]` → `pcee[bins=5]`."""
    name, bracket, rest = label.partition("[")
    kept = [part for part in rest.removesuffix("]").split(",") if not re.match(r"\s*heads\s*=", part)]
    return f"{name}[{','.join(kept)}]" if bracket and any(kept) else name


def _numbers(axes: mpl.axes.Axes, data: pd.DataFrame, rules: list[str], heads: list[str], most: float) -> None:
    for line in rows_of(data):
        x, y = heads.index(line.heads), rules.index(line.rule)
        if math.isnan(line.gain):
            axes.text(x, y, "–", ha="center", va="center", fontsize=9, color=MISSING)
            continue
        colour = "white" if abs(100 * line.gain) > 0.65 * most else "black"
        axes.text(
            x,
            y - 0.14,
            f"{100 * line.gain:+.2f}".replace("-", MINUS),
            ha="center",
            va="center",
            fontsize=9,
            color=colour,
        )
        if math.isfinite(line.low):
            ends = f"[{100 * line.low:+.2f}, {100 * line.high:+.2f}]"
            axes.text(x, y + 0.24, ends.replace("-", MINUS), ha="center", va="center", fontsize=7, color=colour)
