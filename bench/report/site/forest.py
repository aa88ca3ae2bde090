"""A forest plot: one row per method, with the interval of its own gain on a common axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.site.words import points
from bench.report.style import Look
from bench.stats.bootstrap import Estimate
from bench.stats.results import CellStatistics, MethodStatistics

MARGIN = 0.06  # share of the axis that is left free at each end


@dataclass(frozen=True)
class Line:
    """One method: the positions of its interval and its mean in percent of the axis (None if unknown)."""

    label: str
    rank: str
    colour: str
    low: float | None
    middle: float | None
    high: float | None
    value: str
    interval: str
    baseline: bool
    leading: bool
    sure: str  # 'above', 'below' or ''


@dataclass(frozen=True)
class Forest:
    """The lines, the ends of the axis in points, the position of zero in percent, and the count of methods left out."""

    lines: list[Line]
    zero: float
    left: str
    right: str
    more: int


def forest(cell: CellStatistics, looks: Mapping[str, Look], most: int | None = None) -> Forest:
    """Return a forest plot of the first `most` methods by own gain (None: all) and the baseline."""
    known = [m for m in cell.methods if not math.isnan(m.curve.own.value)]
    chosen = known[:most]
    if cell.baseline and cell.baseline.label not in {m.label for m in chosen}:
        chosen = [*chosen, *(m for m in known if m.label == cell.baseline.label)]
    low, high = _range([m.curve.own for m in chosen])
    lines = [_line(m, cell, looks, low, high) for m in chosen]
    return Forest(lines, _at(0.0, low, high), points(low), points(high), len(cell.methods) - len(chosen))


def _line(method: MethodStatistics, cell: CellStatistics, looks: Mapping[str, Look], low: float, high: float) -> Line:
    gain, baseline = method.curve.own, cell.baseline
    look = looks.get(method.label)
    known = gain.known and math.isfinite(gain.low) and math.isfinite(gain.high)
    return Line(
        label=method.label,
        rank=str(method.rank) if method.rank else "–",
        colour=look.colour if look else "currentColor",
        low=_at(gain.low, low, high) if known else None,
        middle=_at(gain.value, low, high),
        high=_at(gain.high, low, high) if known else None,
        value=points(gain.value),
        interval=f"[{points(gain.low)}, {points(gain.high)}]" if known else "",
        baseline=baseline is not None and baseline.label == method.label,
        leading=method.leading,
        sure="above" if known and gain.low > 0 else "below" if known and gain.high < 0 else "",
    )


def _range(gains: Sequence[Estimate]) -> tuple[float, float]:
    ends = [e for g in gains for e in (g.low, g.value, g.high) if math.isfinite(e)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    if low == high:
        low, high = -0.005, 0.005
    return low, high


def _at(value: float, low: float, high: float) -> float:
    return round(100 * (MARGIN + (1 - 2 * MARGIN) * (value - low) / (high - low)), 2)
