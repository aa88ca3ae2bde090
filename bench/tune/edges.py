"""Find parameters of a search's best trial that are at an end of their range, which may then be too narrow."""

from __future__ import annotations

import math
from typing import Any

from bench.tune.history import Tuned
from bench.tune.verdict import winner

NEAR = 0.05  # of a range, on its own scale, counted from either end


def at_edges(search: Tuned) -> list[str]:
    """Return a sentence per parameter of the best trial that is at an end of its range.

    A number counts if it is within 5 % of an end, on a logarithmic scale if the search uses one; choices have no ends.
    Empty while a search is unfinished, and if no trial scored above the defaults.
    """
    best = winner(search.history[: search.trials]) if search.kept else None
    return [] if best is None else [s for name, value in best.params.items() if (s := _at_end(search, name, value))]


def _at_end(search: Tuned, name: str, value: Any) -> str | None:
    limits = search.subject.space.get(name)
    if not isinstance(limits, dict):
        return None
    low, high = limits["low"], limits["high"]
    ends = [math.log(x) if limits["log"] else float(x) for x in (low, value, high)]
    place = (ends[1] - ends[0]) / (ends[2] - ends[0])
    if NEAR < place < 1 - NEAR:
        return None
    end = "lower" if place <= NEAR else "upper"
    return f"{name}={value} is at the {end} end of its range, {low:g} … {high:g}: better values may lie beyond it"
