"""Numbers as text on the pages of the site."""

from __future__ import annotations

import math

from bench.stats.bootstrap import Estimate

MINUS = "−"


def points(value: float, digits: int = 2) -> str:
    """Return a difference of accuracies in points with its sign."""
    if math.isnan(value):
        return "–"
    text = f"{100 * value:+.{digits}f}".replace("-", MINUS)
    return text[1:] if float(f"{100 * value:.{digits}f}") == 0.0 else text


def percent(value: float, digits: int = 1) -> str:
    """Return a share in percent; 'never' if it is infinite."""
    if math.isnan(value):
        return "–"
    return "never" if math.isinf(value) else f"{100 * value:.{digits}f}\u00a0%"


def gap(estimate: Estimate | None) -> str:
    """Return a difference with its interval: `+0.72 [−0.15, +1.59] points`."""
    if estimate is None or math.isnan(estimate.value):
        return "unknown"
    ends = f" [{points(estimate.low)}, {points(estimate.high)}]" if estimate.known else ""
    return f"{points(estimate.value)}{ends} points"
