"""Labels that stand beside what they name, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes


@dataclass(frozen=True)
class Label:
    """A text in a colour for the point (x, y) of the data."""

    text: str
    x: float
    y: float
    colour: str


def spread(wanted: Sequence[float], heights: Sequence[float], low: float = 0.0, high: float = 1.0) -> list[float]:
    """Move positions apart, as little as their order allows, so that heights do not overlap within [low, high].

    Where there is no room for all of them they keep the same distances from `low` up, beyond `high`.
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    # pools of neighbours that touch: (members, the mean of where their lower ends want to be)
    pools: list[tuple[list[int], float]] = []
    for i in order:
        pools.append(([i], wanted[i] - heights[i] / 2))
        while len(pools) > 1 and _end(pools[-2], heights) > pools[-1][1]:
            (after, start), (before, first) = pools.pop(), pools.pop()
            length = sum(heights[j] for j in before)
            weight = len(before) + len(after)
            pools.append(([*before, *after], (first * len(before) + (start - length) * len(after)) / weight))
    members = [pool[0] for pool in pools]
    starts = [pool[1] for pool in pools]
    lengths = [sum(heights[j] for j in m) for m in members]
    for k in range(len(starts) - 1, -1, -1):
        ceiling = high if k == len(starts) - 1 else starts[k + 1]
        starts[k] = min(starts[k], ceiling - lengths[k])
    floor = low
    for k, length in enumerate(lengths):
        starts[k] = max(starts[k], floor)
        floor = starts[k] + length
    found = [0.0] * len(wanted)
    for group, start in zip(members, starts, strict=True):
        for j in group:
            found[j] = start + heights[j] / 2
            start += heights[j]
    assert all(found[b] >= found[a] for a, b in pairwise(order))
    return found


def _end(pool: tuple[list[int], float], heights: Sequence[float]) -> float:
    return pool[1] + sum(heights[j] for j in pool[0])


def beside(axes: Axes, labels: Sequence[Label], height: float, size: float = 8.5) -> None:
    """Write labels to the right of axes `height` inches high, each with a thin line to its point; set limits before."""
    if not labels:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [tuple(to_axes.transform((label.x, label.y))) for label in labels]
    heights = [(label.text.count("\n") + 1) * size * 1.3 / 72 / height for label in labels]
    for label, (x, y), place in zip(labels, places, spread([p[1] for p in places], heights), strict=True):
        if 0 <= y <= 1:
            line = {"color": label.colour, "linewidth": 0.7, "alpha": 0.8, "transform": axes.transAxes}
            axes.plot([x, 1.0, 1.02], [y, place, place], clip_on=False, zorder=1.5, **line)
        axes.text(
            1.025, place, label.text, transform=axes.transAxes, color=label.colour, fontsize=size, va="center",
            linespacing=1.1,
        )  # fmt: skip
