"""Requested and empirical coverage of conformal sets, and the deviation that chance explains."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.style import HULL, settings

ALPHAS = (0.01, 0.05, 0.1)
KIND = "lac"
ROW = 0.21  # inches per method
BANDS = (("coverage_band", "#F2EBCF"), ("coverage_beta", "#DDD0A0"))
KEYS = ("line: 1 − α", "dots: one budget and seed each", "bar: their mean", "◂ ▸: dots outside the axes")


def coverage(report: CellReport) -> Drawing:
    """Draw the coverage of every policy and seed for each α and method, with the bands of split conformal sets."""
    data = coverage_data(report)
    names = [m.label for m in report.statistics.methods if m.label in set(data["method"])]
    alphas = sorted(set(data["alpha"]))
    with mpl.rc_context(settings()):
        labels = fit(names, 2.4, 8.5)
        left = max(inches(label, 8.5) for label in labels) + 0.2
        height = max(ROW * len(names) + 0.1, 0.7)
        page = sheet(width=9.2, body=height + 0.95, keys=KEYS, warnings=warnings(report.cell))
        width = (9.2 - left - 0.15 - 0.2 * (len(alphas) - 1)) / len(alphas)
        for i, alpha in enumerate(alphas):
            axes = page.axes(left + i * (width + 0.2), 0.6, width, height)
            group = data[data["alpha"] == alpha]
            low, high = _limits(group)
            _bands(axes, group)
            for y, name in enumerate(names):
                mine = group[group["method"] == name]["coverage"].to_numpy() * 100
                style: dict[str, Any] = {"color": report.looks[name].colour, "linestyle": "none", "zorder": 3}
                inside = mine[(mine >= low) & (mine <= high)]
                axes.plot(inside, np.full(len(inside), y), marker=".", alpha=0.55, markersize=5, **style)
                for marker, edge, out in (("<", low, mine < low), (">", high, mine > high)):
                    if out.any():
                        axes.plot([edge], [y], marker=marker, markersize=5, clip_on=False, **style)
                if len(mine):
                    middle = min(max(mine.mean(), low), high)
                    axes.plot([middle], [y], "|", color="black", markersize=8, markeredgewidth=1.4, zorder=4)
            axes.set_xlim(low, high)
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_yticks(range(len(names)), labels if i == 0 else [""] * len(names), fontsize=8.5)
            axes.tick_params(labelsize=8, pad=2)
            axes.grid(axis="y", visible=False)
            axes.set_title(f"requested {100 * (1 - alpha):g} % (α = {alpha:g})", fontsize=9, pad=4)
            sns.despine(ax=axes, left=True)
        page.text(left + (9.2 - left - 0.15) / 2, 0.12, "empirical coverage on test, %", ha="center", fontsize=9.5)
    caption = (
        "Coverage of conformal (LAC) sets on test. Bands: 95 % ranges due to chance, dark from the draw of cal alone "
        "(Beta, infinitely many test samples), light from the draws of cal and test (Beta-binomial). Dots of one seed "
        "share cal samples, so they are correlated. Dots outside the axes are marked at the edge."
    )
    return Drawing(page.figure, data, caption)


def _limits(group: pd.DataFrame) -> tuple[float, float]:
    """Return the range of the axis in %: the band with its width on both sides, or less if there are no dots."""
    low, high = group["coverage_band_low"].mean() * 100, group["coverage_band_high"].mean() * 100
    least, most = 100 * group["coverage"].min(), 100 * group["coverage"].max()
    wanted = 100 * (1 - group["alpha"].iloc[0])
    if not np.isfinite(low + high):
        return min(least, wanted) - 0.2, max(most, wanted) + 0.2
    room = max(high - low, 0.2)
    start, end = max(min(least, low), low - room), min(max(most, high), high + room)
    return start - 0.05 * room, end + 0.05 * room


def coverage_data(report: CellReport) -> pd.DataFrame:
    """Return a row per α, operating point and seed with coverage and bands. Raises Missing if no record has them."""
    found = []
    for alpha in ALPHAS:
        name = f"coverage_{KIND}@{alpha:g}"
        ends = {f"{band}_{end}": f"{band}_{end}@{alpha:g}" for band, _ in BANDS for end in ("low", "high")}
        for row in report.rows:
            if row.kind == "method" and name in row.values:
                nothing = (math.nan,) * len(row.seeds)
                bands = {key: row.values.get(full, nothing) for key, full in ends.items()}
                for i, (seed, value) in enumerate(zip(row.seeds, row.values[name], strict=True)):
                    if math.isfinite(value):
                        known = {"alpha": alpha, "method": row.method, "budget": row.budget, "seed": seed}
                        found.append(known | {"coverage": value} | {key: held[i] for key, held in bands.items()})
    if not found:
        raise Missing("No record has the coverage of LAC sets.")
    return pd.DataFrame(found)


def _bands(axes: object, group: pd.DataFrame) -> None:
    for band, colour in BANDS:
        low, high = group[f"{band}_low"].mean() * 100, group[f"{band}_high"].mean() * 100
        if np.isfinite(low + high):
            axes.axvspan(low, high, color=colour, linewidth=0, zorder=0.5)  # type: ignore[attr-defined]
    axes.axvline(100 * (1 - group["alpha"].iloc[0]), color=HULL, linewidth=1.2, zorder=1)  # type: ignore[attr-defined]
