"""The comparison of a setting's methods: differences of own gain to the baseline, and intervals of ranks."""

from __future__ import annotations

import math

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import fit, inches, sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import rows_of, seeds_described
from bench.report.style import MISSING, REFERENCE, ZONE, settings
from bench.stats.across import ZONE as EQUAL
from bench.stats.compare import MIN_SEEDS

ROW = 0.235  # inches per method


def critical(report: CellReport) -> Drawing:
    """Draw each method's difference of own gain to the baseline, and its rank, both with intervals."""
    statistics = report.statistics
    data = comparison_data(report)
    baseline = statistics.baseline
    assert baseline
    several = bool(data["first_rank"].notna().any())
    with mpl.rc_context(settings()):
        labels = fit(list(data["method"]), 2.4, 8.5)
        left = max(inches(label, 8.5) for label in labels) + 0.2
        height = max(ROW * len(data) + 0.1, 0.8)
        tested = bool(data["verdict"].isin(["significantly better", "significantly worse", "not significant"]).any())
        notes = [
            f"shaded: within {100 * EQUAL:g} points, practically equal",
            "filled: significantly better or worse (95 %, Holm-corrected)" if tested else "",
            "" if tested else f"fewer than {MIN_SEEDS} seeds: no tests" if len(statistics.seeds) < MIN_SEEDS else "",
        ]
        page = sheet(width=9.2, body=height + 0.65, keys=notes, warnings=warnings(report.cell))
        words = 1.55
        ranks = 1.9 if several else 0.0
        axes = page.axes(left, 0.55, 9.2 - left - words - ranks - 0.25, height)
        differences(axes, data, labels, report)
        _numbers(axes, data)
        if several:
            _ranks(page.axes(9.2 - ranks - 0.1, 0.55, ranks, height), data, report)
    seeds = seeds_described([len(statistics.seeds)], "bars: paired 95 % bootstrap intervals")
    caption = (
        f"Own gain minus that of the baseline {baseline.label}, {seeds}. Right: simultaneous 95 % confidence "
        "intervals for the ranks (none with fewer than six seeds); if they are long, there are too few seeds and "
        "samples to rank the methods. Methods with an incomplete grid have no value."
    )
    return Drawing(page.figure, data, caption)


def comparison_data(report: CellReport) -> pd.DataFrame:
    """Return a row per method in the order of the leaderboard. Raises Missing if there is nothing to compare."""
    statistics = report.statistics
    if statistics.baseline is None:
        raise Missing("There is no baseline: no rule on shared heads has a complete grid.")
    found = []
    for m in statistics.methods:
        c = m.comparison.difference if m.comparison else None
        base = m.label == statistics.baseline.label
        notes = "baseline" if base else m.comparison.verdict if m.comparison else "incomplete"
        found.append(
            {
                "method": m.label,
                "own": m.curve.own.value if m.complete else math.nan,
                "difference": c.value if c else 0.0 if base else math.nan,
                "low": c.low if c else math.nan,
                "high": c.high if c else math.nan,
                "p_holm": m.comparison.p_holm if m.comparison else None,
                "first_rank": m.rank.first if m.rank else None,
                "last_rank": m.rank.last if m.rank else None,
                "verdict": notes,
            }
        )
    if not any(row["verdict"] not in ("baseline", "incomplete") for row in found):
        raise Missing(f"No other method with a complete grid can be compared with {statistics.baseline.label}.")
    return pd.DataFrame(found)


def differences(axes: Axes, data: pd.DataFrame, labels: list[str], report: CellReport) -> None:
    """Draw the differences in comparison data with their intervals, a row per method."""
    axes.axvspan(-100 * EQUAL, 100 * EQUAL, color=ZONE, linewidth=0, zorder=0.5)
    axes.axvline(0, color=REFERENCE, linewidth=0.9, zorder=1)
    for y, row in enumerate(rows_of(data)):
        look = report.looks[row.method]
        if math.isfinite(row.low):
            axes.plot([100 * row.low, 100 * row.high], [y, y], color=look.colour, linewidth=1.6, zorder=3)
        if math.isfinite(row.difference):
            sure = row.verdict in ("significantly better", "significantly worse", "intervals only", "baseline")
            axes.plot(
                [100 * row.difference], [y], look.marker, color=look.colour, markersize=6, zorder=4,
                markerfacecolor=look.colour if sure else "white",
            )  # fmt: skip
    span = data[["low", "high", "difference"]].to_numpy(float) * 100
    known = span[pd.notna(span)]
    low, high = min(known.min(), -100 * EQUAL), max(known.max(), 100 * EQUAL)
    axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    axes.set_yticks(range(len(labels)), labels, fontsize=8.5)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel("difference of own gain, points of accuracy")
    axes.grid(axis="y", visible=False)
    axes.tick_params(labelsize=8.5, pad=3)
    sns.despine(ax=axes, left=True)


def _numbers(axes: Axes, data: pd.DataFrame) -> None:
    for y, row in enumerate(rows_of(data)):
        if row.verdict == "baseline":
            text = "baseline"
        elif math.isfinite(row.difference):
            ends = f" [{100 * row.low:+.2f}, {100 * row.high:+.2f}]" if math.isfinite(row.low) else ""
            text = f"{100 * row.difference:+.2f}{ends}"
        else:
            text = "incomplete grid"
        text = text.replace("-", "\N{MINUS SIGN}")
        axes.annotate(
            text, (1, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8,
            va="center", annotation_clip=False, color=MISSING if row.verdict == "incomplete" else "black",
        )  # fmt: skip


def _ranks(axes: Axes, data: pd.DataFrame, report: CellReport) -> None:
    for y, row in enumerate(rows_of(data)):
        if pd.notna(row.first_rank):
            colour = report.looks[row.method].colour
            ends = [row.first_rank, row.last_rank]  # dots at the ends: a line without length is not drawn
            axes.plot(ends, [y, y], "o-", color=colour, linewidth=4, markersize=4, markeredgewidth=0)
    axes.set_ylim(len(data) - 0.4, -0.6)
    axes.set_xlim(0.4, int(data["first_rank"].notna().sum()) + 0.6)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=2))
    axes.set_xlabel("rank by own gain (1: best)")
    axes.grid(axis="y", visible=False)
    axes.tick_params(labelsize=8.5, pad=3)
    sns.despine(ax=axes, left=True)
