"""Requested and empirical coverage of conformal sets, beside what chance explains."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import flags_described
from bench.report.style import REFERENCE, settings

ALPHAS = (0.01, 0.05, 0.1)
KIND = "lac"
ROW = 0.21  # inches per method
BANDS = (("coverage_band", "#F2EBCF", "cal and test"), ("coverage_beta", "#DDD0A0", "cal alone (Beta)"))


def coverage(report: CellReport) -> Drawing:
    """Draw for each α and method the coverage of every policy and seed, over the bands of split conformal sets."""
    data = coverage_data(report)
    names = [m.label for m in report.statistics.methods if m.label in set(data["method"])]
    alphas = sorted(set(data["alpha"]))
    with mpl.rc_context(settings()):
        labels = fit(names, 2.4, 8.5)
        left = max(inches(label, 8.5) for label in labels) + 0.2
        height = max(ROW * len(names) + 0.1, 0.7)
        notes = ["dots: one budget and seed each", "bar: their mean"]
        notes += [f"{shade}: {what}" for shade, (_, _, what) in zip(("light", "dark"), BANDS, strict=True)]
        page = sheet(
            "Requested and empirical coverage of LAC sets",
            report.name,
            width=9.2,
            body=height + 0.95,
            keys=[notes[0], notes[1], "shaded: where 95 % of calibrated sets lie by chance, " + ", ".join(notes[2:])],
            warnings=warnings(report.cell),
        )
        width = (9.2 - left - 0.15 - 0.2 * (len(alphas) - 1)) / len(alphas)
        for i, alpha in enumerate(alphas):
            axes = page.axes(left + i * (width + 0.2), 0.6, width, height)
            group = data[data["alpha"] == alpha]
            _bands(axes, group)
            for y, name in enumerate(names):
                mine = group[group["method"] == name]["coverage"].to_numpy() * 100
                look = report.looks[name]
                axes.plot(mine, np.full(len(mine), y), ".", color=look.colour, alpha=0.55, markersize=5, zorder=3)
                if len(mine):
                    axes.plot([mine.mean()], [y], "|", color="black", markersize=8, markeredgewidth=1.4, zorder=4)
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_yticks(range(len(names)), labels if i == 0 else [""] * len(names), fontsize=8.5)
            axes.tick_params(labelsize=8, pad=2)
            axes.grid(axis="y", visible=False)
            axes.set_title(f"requested {100 * (1 - alpha):g} % (α = {alpha:g})", fontsize=9, pad=4)
            sns.despine(ax=axes, left=True)
        page.text(left + (9.2 - left - 0.15) / 2, 0.12, "empirical coverage on test, %", ha="center", fontsize=9.5)
    caption = (
        "Coverage of split conformal LAC sets, calibrated on the cal samples as they left: dots are single policies "
        "(one budget, one seed), bars their means. Dark band: where the coverage of calibrated sets over endless test "
        "samples lies with 95 % probability, given the number of cal samples (Beta law); light: the same for this many "
        "test samples (Beta-binomial). Dots of one seed share cal samples: they move together."
    )
    return Drawing(page.figure, data, caption + flags_described(report.statistics.methods))


def coverage_data(report: CellReport) -> pd.DataFrame:
    """Return a row per α and operating point with its coverage and both bands. Raises Missing where none is known."""
    found = []
    for alpha in ALPHAS:
        name = f"coverage_{KIND}@{alpha:g}"
        ends = {f"{band}_{end}": f"{band}_{end}@{alpha:g}" for band, _, _ in BANDS for end in ("low", "high")}
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
    for band, colour, _ in BANDS:
        low, high = group[f"{band}_low"].mean() * 100, group[f"{band}_high"].mean() * 100
        if np.isfinite(low + high):
            axes.axvspan(low, high, color=colour, linewidth=0, zorder=0.5)  # type: ignore[attr-defined]
    axes.axvline(100 * (1 - group["alpha"].iloc[0]), color=REFERENCE, linewidth=0.9, zorder=1)  # type: ignore[attr-defined]
