"""A parameter search: the scores of its trials in order, and the importance of its parameters."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from bench.report.figures.file import Drawing, FigureFile, pack
from bench.report.style import ALARM, HULL, NOTE, REFERENCE, Look, settings
from bench.report.text import seeds_phrase
from bench.system.files import slug
from bench.tune.history import Tuned

LEAST = 4  # complete trials needed for importances


CAPTION = (
    "Gains are on the samples that choose the best trial, so the best of many is biased upwards; whether it is kept is "
    "decided on other samples and seeds. Importance: a parameter's share in what distinguishes good trials (PED-ANOVA, "
    "as in Optuna), rough if few trials are complete."
)


def search_figures(searches: Sequence[Tuned], looks: Mapping[str, Look]) -> list[FigureFile]:
    """Draw each search of a setting: the scores of its trials, and the importance of its parameters.

    looks: by method label; other methods are drawn in grey. The bytes do not depend on the order of the searches.
    """
    figures = []
    for search in sorted(searches, key=lambda s: s.subject.method):
        if search.history:
            method, data = search.subject.method, history_data(search)
            drawing = Drawing(draw(search, data, looks.get(method, Look(REFERENCE, "o", "-"))), data, CAPTION)
            figures.append(pack(f"search--{slug(method)}", f"Parameter search of {method}", drawing))
    return figures


def history_data(search: Tuned) -> pd.DataFrame:
    """Return one row per trial: number, status, mean score over its seeds, gain, best gain so far, parameters.

    `gain` is the score minus that of the defaults on the same seeds, so that trials that were stopped early can be
    compared with complete ones; `best` counts complete trials only. A failed trial has neither score nor gain. If the
    defaults failed, no trial has a gain.
    """
    rows = sorted(search.history, key=lambda row: row.number)
    usual = rows[0].running if rows[0].number == 0 and rows[0].status == "ok" else []
    gains = [row.mean - usual[len(row.scores) - 1] if usual and row.scores else math.nan for row in rows]
    whole = [gain if row.status == "ok" else -math.inf for row, gain in zip(rows, gains, strict=True)]
    found = [
        {
            "trial": row.number,
            "status": row.status,
            "same_as": row.same_as,
            "seeds": len(row.scores),
            "score": row.mean if row.scores else None,
            "gain": gain,
            "best": best,
            **row.params,
        }
        for row, gain, best in zip(rows, gains, accumulate(whole, max), strict=True)
    ]
    names = ["trial", "status", "same_as", "seeds", "score", "gain", "best", *search.subject.space]
    return pd.DataFrame(found, columns=names).astype({"same_as": "Int64", "score": "float64"})


def importances(search: Tuned) -> dict[str, float]:
    """Return the importance of each parameter for good trials, as shares, the largest first.

    PED-ANOVA as Optuna computes it, over the complete trials that were really run. Empty for fewer than LEAST of them,
    or if all have the same score.
    """
    from optuna.importance import get_param_importances

    from bench.tune.study import distributions_of, study_of

    rows = [row for row in search.history if row.status == "ok" and row.same_as is None]
    if len(rows) < LEAST or len({row.mean for row in rows}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the caption says that few trials give rough values
        found = get_param_importances(study_of(distributions_of(search.subject.space), rows))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def draw(search: Tuned, data: pd.DataFrame, look: Look) -> Figure:
    """Draw a search: gains by trial on the left, importances (if there are any) on the right."""
    shares = importances(search)
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(8.2, 4.6))
        FigureCanvasAgg(figure)
        if shares:
            left, right = figure.subplots(1, 2, width_ratios=(2, 1))
            _bars(right, shares, look)
        else:
            left = figure.subplots()
        _history(left, search, data, look)
        _header(figure, search)
        return figure


def _history(axes: Axes, search: Tuned, data: pd.DataFrame, look: Look) -> None:
    style: dict[str, Any] = {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": "none",
        "markersize": 6,
        "zorder": 4,
    }
    percent = data["gain"] * 100
    whole, pruned, failed = (data["status"] == status for status in ("ok", "pruned", "failed"))
    floor = _floor(percent.dropna())
    inside = percent.isna() | (percent >= floor)
    axes.plot(data["trial"][whole & inside], percent[whole & inside], label="trial", **style)
    if (pruned & inside).any():
        hollow = style | {"markerfacecolor": "white"}
        axes.plot(data["trial"][pruned & inside], percent[pruned & inside], label="stopped early", **hollow)
    axes.step(data["trial"], data["best"] * 100, where="post", color=HULL, linewidth=1.3, zorder=3, label="best so far")
    axes.axhline(0, color=REFERENCE, linestyle=(0, (4, 2)), linewidth=1.1, zorder=2, label="defaults")
    low = float(axes.get_ylim()[0])
    edge: dict[str, Any] = {"linestyle": "none", "markersize": 6, "zorder": 4, "clip_on": False}
    for rows, colour, marker, words in (
        (~inside, look.colour, "$\\downarrow$", "far below"),
        (failed, ALARM, "x", "failed"),
    ):
        if rows.any():
            axes.plot(data["trial"][rows], [low] * int(rows.sum()), color=colour, marker=marker, label=words, **edge)
    axes.set_ylim(bottom=low)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel("gain over the defaults, points")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False, fontsize=9, columnspacing=1.2)
    sns.despine(ax=axes)


def _floor(gains: pd.Series) -> float:
    """Return the gain below which trials are not drawn to scale: the median minus 3 × (best − median)."""
    if not len(gains):
        return -math.inf
    top, middle = max(float(gains.max()), 0.0), float(gains.median())
    return min(middle - 3 * max(top - middle, 0.1), 0.0)


def _bars(axes: Axes, shares: Mapping[str, float], look: Look) -> None:
    names = list(shares)[::-1]
    axes.barh(range(len(names)), [shares[n] * 100 for n in names], color=look.colour, height=0.6)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("importance, %")
    axes.grid(visible=False, axis="y")
    sns.despine(ax=axes)


def _header(figure: Figure, search: Tuned) -> None:
    kept = {"tuned": "kept: tuned values", "defaults": "kept: defaults", None: "not finished"}[search.kept]
    inches, top = float(figure.get_figheight()), 0.08
    for text in (f"{_budget(search)}; {kept}", _sentence(search.reason) if search.reason else ""):
        for line in textwrap.wrap(text, 120):
            figure.text(0.015, 1 - top / inches, line, color=NOTE, fontsize=9, va="top", parse_math=False)
            top += 9 * 1.5 / 72
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - (top + 0.04) / inches)))


def _budget(search: Tuned) -> str:
    return f"{len(search.history)} of {search.trials} trials, {seeds_phrase(len(search.protocol.seeds))} each"


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
