"""Labels beside lines, placed so that they do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from bench.report.figures.canvas import inches

SIZE = 8.5  # points
LEADER, SAMPLE, PAD = 0.16, 0.3, 0.06  # inches: length of the leader, length of the line sample, space before the text


@dataclass(frozen=True)
class Label:
    """A text for the point (x, y) in data coordinates, and the style of the line that it names."""

    text: str
    x: float
    y: float
    style: Mapping[str, Any]


def spread(wanted: Sequence[float], heights: Sequence[float], low: float = 0.0, high: float = 1.0) -> list[float]:
    """Move positions apart as little as possible, in their order, so that items do not overlap within [low, high].

    If they do not all fit, they are stacked from `low` upwards and exceed `high`.
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    # pools of neighbours that touch: (members, mean of their preferred lower ends)
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


def beside(axes: Axes, labels: Sequence[Label], size: float = SIZE) -> None:
    """Write labels to the right of axes, each with a leader to its point, a line sample and the name.

    Set the limits of the axes first. Labels of points outside the axes have no leader.
    """
    if not labels:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    width, height = axes.bbox.width / figure.dpi, axes.bbox.height / figure.dpi
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [tuple(to_axes.transform((label.x, label.y))) for label in labels]
    high = size * 1.35 / 72 / height
    # points at nearly the same height keep the order of the labels: the first one is the upper one
    wanted = [round(4 * min(max(y, 0.0), 1.0) / high) * high / 4 for _, y in places]
    at = spread(wanted[::-1], [high] * len(labels))[::-1]
    for label, (x, y), place in zip(labels, places, at, strict=True):
        style = {**label.style, "clip_on": False, "transform": axes.transAxes}
        start, middle, end = (1 + distance / width for distance in (LEADER, LEADER + SAMPLE / 2, LEADER + SAMPLE))
        if 0 <= y <= 1:
            thin = {"color": label.style["color"], "linewidth": 0.6, "alpha": 0.7, "zorder": 1.5}
            axes.plot([x, 1.0, start], [y, place, place], clip_on=False, transform=axes.transAxes, **thin)
        axes.plot([start, middle, end], [place] * 3, markevery=[1], zorder=5, **style)
        axes.text(
            end + PAD / width, place, label.text, transform=axes.transAxes, fontsize=size, va="center_baseline"
        )  # fmt: skip


def room(texts: Sequence[str], size: float = SIZE) -> float:
    """Return the width in inches that labels need to the right of axes."""
    return LEADER + SAMPLE + PAD + max((inches(text, size) for text in texts), default=0.0) + 0.08
