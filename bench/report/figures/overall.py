"""Figures across settings: mean own gain with intervals, and wins, ties and losses."""

from __future__ import annotations

import math

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from bench.report.figures.canvas import Sheet, fit, inches, sheet
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.points import rows_of
from bench.report.style import MISSING, REFERENCE, settings
from bench.report.summary import Report
from bench.stats.across import FEW, named_alike
from bench.stats.across import ZONE as EQUAL
from bench.stats.flags import Flag

ROW = 0.235
LOST, TIED, WON = "#D55E00", "#E4E4E4", "#0072B2"  # colours of the parts of a bar, not of methods


def own_gain(report: Report) -> Drawing:
    """Draw each method's own gain in every setting, and its mean with an interval. Needs at least FEW settings."""
    data = own_gain_data(report)
    means = data[data["series"] == "mean"]
    names = list(means["method"])
    looks = {name: look for cell in report.cells for name, look in cell.looks.items()}
    with mpl.rc_context(settings()):
        low, high = _limits(data)
        cut = bool((data["low"] < low).any() or (data["high"] > high).any())
        interval = "bars: 95 % intervals over settings" + (", cut off at the frame" if cut else "")
        page, axes = _rows(
            names,
            ["0: random mixtures of static exits", "dots: single settings", "large: mean", interval],
        )
        for y, row in enumerate(rows_of(means)):
            mine = data[(data["series"] == "setting") & (data["method"] == row.method)]
            look = looks[row.method]
            axes.plot(mine["gain"], [y] * len(mine), "o", color=look.colour, alpha=0.45, markersize=4, zorder=3)
            if math.isfinite(row.gain):
                if math.isfinite(row.low):
                    axes.plot([row.low, row.high], [y, y], color=look.colour, linewidth=1.6, zorder=2)
                axes.plot(
                    [row.gain], [y], look.marker, color=look.colour, markeredgecolor="black", markersize=7, zorder=4
                )
            else:
                left = len(mine) > 0 and mine["gain"].mean() > (low + high) / 2  # the side without dots
                axes.annotate(
                    f"{row.flags}: no mean", (0 if left else 1, y), (4 if left else -4, 0),
                    xycoords=("axes fraction", "data"), textcoords="offset points",
                    fontsize=8, color=MISSING, va="center", ha="left" if left else "right", zorder=3,
                )  # fmt: skip
        axes.axvline(0, color=REFERENCE, linewidth=0.9, zorder=1)
        axes.set_xlim(low, high)
        axes.set_xlabel("own gain, points of accuracy")
    caption = (
        f"Own gain in {_cells(report)}. Methods with a complete grid in all of them have a mean with a 95 % interval "
        "over settings; long intervals are cut off so that differences between means stay visible."
    )
    return Drawing(page.figure, data, caption)


def _limits(data: pd.DataFrame) -> tuple[float, float]:
    """Return the range of the axis; it cuts off long intervals of few settings so that means stay distinguishable."""
    known = data["gain"].dropna()
    span = max(float(known.max() - known.min()), 0.2)
    low = max(float(data["low"].min()), known.min() - 0.6 * span) if data["low"].notna().any() else known.min()
    high = min(float(data["high"].max()), known.max() + 0.6 * span) if data["high"].notna().any() else known.max()
    low, high = min(low, known.min(), 0.0), max(high, known.max(), 0.0)
    pad = 0.05 * max(high - low, 0.2)
    return low - pad, high + pad


def _told(flag: Flag) -> str:
    return f"{flag.count} of {flag.of} settings" if flag.kind == "not run" else str(flag)


def own_gain_data(report: Report) -> pd.DataFrame:
    """Return a row per method with its mean, and one per method and setting with a complete grid; gains in points.

    Raises Missing for fewer than FEW valid settings.
    """
    across = report.across
    counted = [named_alike(c.statistics) for c in report.cells if c.name in across.cells]
    rows: list[dict[str, object]] = []
    for m in across.methods:
        s = m.own
        known = {
            "series": "mean",
            "setting": "all",
            "method": m.label,
            "flags": "; ".join(_told(flag) for flag in m.flags),
        }
        rows.append(
            known
            | {
                "gain": 100 * s.value if s else math.nan,
                "low": 100 * s.low if s else math.nan,
                "high": 100 * s.high if s else math.nan,
                "settings": m.cells,
            }
        )
        for cell in counted:
            for c in cell.methods:
                if c.label == m.label and c.complete and math.isfinite(c.curve.own.value):
                    known = {"series": "setting", "setting": cell.name, "method": m.label, "flags": ""}
                    rows.append(
                        known | {"gain": 100 * c.curve.own.value, "low": math.nan, "high": math.nan, "settings": 1}
                    )
    data = pd.DataFrame(rows, columns=["series", "method", "setting", "gain", "low", "high", "settings", "flags"])
    if len(counted) < FEW:
        raise Missing(f"Fewer than {FEW} settings are valid, so there is no mean over settings to draw.")
    if not data["gain"].notna().any():
        raise Missing("No valid setting has an own gain, which needs static exits and a complete grid.")
    return data


def tally(report: Report) -> Drawing:
    """Draw how many comparisons with other methods, over all settings, each method wins, ties and loses."""
    data = tally_data(report)
    names = list(data["method"])
    with mpl.rc_context(settings()):
        page, axes = _rows(
            names,
            [f"a tie: own gains within {100 * EQUAL:g} points"],
        )
        for y, row in enumerate(rows_of(data)):
            total = row.wins + row.ties + row.losses
            start = 0.0
            for count, colour, ink in (
                (row.wins, WON, "white"),
                (row.ties, TIED, "black"),
                (row.losses, LOST, "black"),
            ):
                share = 100 * count / total
                axes.barh(y, share, left=start, height=0.72, color=colour, linewidth=0, zorder=2)
                if share > 2.5:
                    axes.text(
                        start + share / 2, y, str(count), ha="center", va="center", fontsize=8, color=ink, zorder=3
                    )
                start += share
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of comparisons, %:  blue won · grey tied · orange lost (counts inside)")
    caption = (
        f"Comparisons of own gain with every other method in {_cells(report)}, where both have a complete grid. Within "
        f"{100 * EQUAL:g} points of accuracy two methods are practically equal: a tie. These are counts, not tests."
    )
    return Drawing(page.figure, data, caption)


def tally_data(report: Report) -> pd.DataFrame:
    """Return wins, ties and losses per method over all pairs and settings, by descending share of wins minus losses.

    Raises Missing if nothing is counted.
    """
    pairs = report.across.pairs
    rows = []
    for m in report.across.methods:
        mine = [t for (a, _), t in pairs.items() if a == m.label]
        counts = [sum(getattr(t, name) for t in mine) for name in ("wins", "ties", "losses")]
        if sum(counts):
            rows.append(
                {"method": m.label, **dict(zip(("wins", "ties", "losses"), counts, strict=True)), "settings": m.cells}
            )
    if not rows:
        few = f"Fewer than {FEW} settings are valid" if len(report.across.cells) < FEW else "No setting has two methods"
        raise Missing(f"{few}, so wins, ties and losses are not counted.")
    data = pd.DataFrame(rows)
    net = (data["wins"] - data["losses"]) / data[["wins", "ties", "losses"]].sum(axis=1)
    return data.assign(net=net).sort_values(["net", "method"], ascending=[False, True]).reset_index(drop=True)


def _rows(names: list[str], keys: list[str]) -> tuple[Sheet, Axes]:
    labels = fit(names, 2.4, 8.5)
    left = max(inches(label, 8.5) for label in labels) + 0.2
    height = max(ROW * len(names) + 0.1, 0.7)
    page = sheet(width=9.2, body=height + 0.72, keys=keys)
    axes = page.axes(left, 0.55, 9.2 - left - 0.2, height)
    axes.set_yticks(range(len(names)), labels, fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(labelsize=8.5, pad=3)
    sns.despine(ax=axes, left=True)
    return page, axes


def _cells(report: Report) -> str:
    return f"{len(report.across.cells)} settings"
