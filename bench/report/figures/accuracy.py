"""Accuracy against cost: own curves with simultaneous bands, policies as points, and references."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.context import CellReport
from bench.report.figures.curves import Chart, foremost, one
from bench.report.figures.families import panels
from bench.report.figures.file import Drawing, Missing
from bench.report.figures.lines import ORACLE, STATIC, STATIC_HULL, Line, Reference
from bench.report.figures.points import exit_numbers, keys, point_flags, seeds_described
from bench.report.style import MOST_LINES
from bench.stats.results import CurveStatistics, MethodStatistics, PointStatistics

FIELDS = ["series", "method", "budget", "macs_fraction", "accuracy", "low", "high", "seeds", "incomplete", "collapsed"]
CAPTION = (
    "Lines: each method's own curve on test, the upper hull of its policies, chosen on cal. Markers: the policies. "
)
BANDS = " Bands can overlap although one method is significantly better, because all share seeds: see the comparison."


def accuracy(report: CellReport) -> Drawing:
    """Draw all methods with scores, on one pair of axes or, if there are many, in panels."""
    methods = _with_points(report)
    chart, data = accuracy_chart(report)
    figure = panels(chart) if len(methods) > MOST_LINES else one(chart)
    seeds = seeds_described(data.loc[data["series"] == "policy", "seeds"], "shaded: simultaneous 95 % bands")
    return Drawing(figure, data, f"{CAPTION}{seeds[0].upper()}{seeds[1:]}.{BANDS}")


def accuracy_chart(report: CellReport) -> tuple[Chart, pd.DataFrame]:
    """Return the chart of all methods with scores, and its data. Raises Missing if there are none."""
    methods = _with_points(report)
    data = curve_data(report, methods)
    return _chart(report, methods, data, focus=len(methods) > MOST_LINES), data


def best(report: CellReport) -> Drawing:
    """Draw the few methods with the largest own gain, and the baseline, on one pair of axes."""
    methods = _with_points(report)
    if len(methods) <= MOST_LINES:
        raise Missing(f"With {len(methods)} methods it would repeat the figure of all methods.")
    chosen = [report.statistics.method(label) for label in foremost(report)]
    baseline = report.statistics.baseline
    if not chosen:
        raise Missing("No method has a complete grid, so none can be called the best.")
    data = curve_data(report, chosen, bands=False)
    chart = _chart(report, chosen, data, focus=True, bands=False)
    seeds = seeds_described(data.loc[data["series"] == "policy", "seeds"], "for bands see the figure of all methods")
    named = f"{len(chosen)} of {len(methods)} methods: those with the largest own gain"
    named += f", and the baseline {baseline.label}." if baseline else "."
    return Drawing(one(chart), data, f"{CAPTION}{seeds[0].upper()}{seeds[1:]}. {named}")


def _with_points(report: CellReport) -> list[MethodStatistics]:
    found = [m for m in report.statistics.methods if any(p.accuracy.seeds for p in m.points)]
    if not found:
        raise Missing("No method has a result yet.")
    return found


def curve_data(report: CellReport, methods: list[MethodStatistics], *, bands: bool = True) -> pd.DataFrame:
    """Return the data by series: 'policy' points, 'hull' lines, 'band', 'static exit', 'static hull' and 'oracle'."""
    statistics = report.statistics
    rows: list[dict[str, object]] = []
    for m in methods:
        for p in m.points:
            if p.accuracy.seeds:
                flags = point_flags(report, p.flags, len(p.accuracy.seeds))
                rows.append({"series": "policy", "method": m.label, "budget": p.budget, **_estimate(p), **flags})
        rows += _line("hull", m.label, m.curve)
        if m.curve.band and bands:
            b, seeds = m.curve.band, len(m.curve.seeds)
            for values in zip(b.at, b.value, b.low, b.high, strict=True):
                known = dict(zip(("macs_fraction", "accuracy", "low", "high"), values, strict=True))
                rows.append({"series": "band", "method": m.label, "seeds": seeds, **known})
    rows += [{"series": "static exit", "method": p.name, **_estimate(p)} for p in statistics.exits]
    rows += _line("static hull", "static", statistics.static) + _line("oracle", "oracle", statistics.oracle)
    return pd.DataFrame(rows, columns=FIELDS)


def _estimate(point: PointStatistics) -> dict[str, object]:
    a = point.accuracy
    known = {"macs_fraction": point.cost.value, "accuracy": a.value, "low": a.low, "high": a.high}
    return {**known, "seeds": len(a.seeds)}


def _line(series: str, name: str, curve: CurveStatistics | None) -> list[dict[str, object]]:
    known = {"series": series, "method": name, "seeds": len(curve.seeds) if curve else 0}
    return [{**known, "macs_fraction": x, "accuracy": y} for x, y in (curve.line if curve else ()) if math.isfinite(y)]


def _chart(
    report: CellReport,
    methods: list[MethodStatistics],
    data: pd.DataFrame,
    *,
    focus: bool,
    bands: bool = True,
) -> Chart:
    shown = data.rename(columns={"macs_fraction": "x", "accuracy": "y"})
    shown[["y", "low", "high"]] *= 100
    of = dict(list(shown.groupby("series")))
    empty = shown.iloc[:0]

    def part(series: str, method: str | None = None) -> pd.DataFrame:
        group = of.get(series, empty)
        return group if method is None else group[group["method"] == method]

    lines = [
        Line(m.label, part("policy", m.label).sort_values("budget"), part("hull", m.label), part("band", m.label))
        for m in methods
    ]
    exits = part("static exit").assign(number=lambda d: d["method"].map(exit_numbers(report)))
    references = [
        Reference("static exits", exits, STATIC, "grey dots"),
        Reference("hull of static exits", part("static hull"), STATIC_HULL, "dashes"),
        Reference("oracle", part("oracle"), ORACLE, "dots"),
    ]
    policies = part("policy")
    return Chart(
        report,
        "accuracy on test, %",
        lines,
        [r for r in references if len(r.data)],
        keys(policies),
        focus=focus,
        bands=bands,
        aside=_aside(report) if focus else "",
    )


def _aside(report: CellReport) -> str:
    """Return a phrase on where the oracle is, because it may be above the range of the axes."""
    oracle = report.statistics.oracle
    known = [(x, y) for x, y in (oracle.line if oracle else ()) if math.isfinite(y)]
    if not known:
        return ""
    most = max(y for _, y in known)
    first = next(x for x, y in known if y > most - 5e-4)
    return f"the oracle reaches {100 * most:.1f} % at {first:.2f}"
