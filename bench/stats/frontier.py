"""Frontiers of operating points: their points are chosen on cal, the coordinates come from test.

A frontier is a list of points by rising cost. Between two neighbours on the hull a random mixture of their policies
costs and scores in proportion, so the hull is attainable: a polyline through the test coordinates of the points that
are on the upper concave hull on cal. Before its first point and beyond its last, accuracy is constant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def hull_members(cost: ArrayLike, accuracy: ArrayLike) -> list[int]:
    """Return the points [P] on the upper concave hull of accuracy over cost, cheapest first, up to the best accuracy.

    Of equal points the first counts. Points with NaN are never members.
    """
    found: list[int] = []
    c, a = np.asarray(cost, float), np.asarray(accuracy, float)
    for i in step_members(c, a):
        while len(found) > 1 and _turns_up(c, a, found[-2], found[-1], i):
            found.pop()
        found.append(i)
    return found


def step_members(cost: ArrayLike, accuracy: ArrayLike) -> list[int]:
    """Return the non-dominated points [P], cheapest first: each is more accurate than every cheaper one."""
    c, a = np.asarray(cost, float), np.asarray(accuracy, float)
    found: list[int] = []
    for i in sorted(range(len(c)), key=lambda i: (c[i], -a[i], i)):
        if np.isfinite(c[i]) and np.isfinite(a[i]) and (not found or a[i] > a[found[-1]]):
            found.append(i)
    return found


def _turns_up(c: Array, a: Array, first: int, middle: int, last: int) -> bool:
    """Return whether the middle point is on or below the chord of the others (no slopes: neighbours may be close)."""
    return (a[middle] - a[first]) * (c[last] - c[first]) <= (a[last] - a[first]) * (c[middle] - c[first])


def by_cost(cost: Array, accuracy: Array) -> tuple[Array, Array]:
    """Sort each row of test coordinates [R, P] by cost: points close on cal may swap places on test."""
    order = np.argsort(cost, axis=1, kind="stable")
    return np.take_along_axis(cost, order, 1), np.take_along_axis(accuracy, order, 1)


def hull_area(cost: Array, accuracy: Array, low: float, high: float) -> Array:
    """Return ∫ H(c) dc over [low, high] for each row of sorted points [R, P]: exact for the polyline."""
    area = np.maximum(cost[:, 0].clip(low, high) - low, 0) * accuracy[:, 0]
    area = area + (high - cost[:, -1].clip(low, high)) * accuracy[:, -1]
    for p in range(cost.shape[1] - 1):
        left, right = cost[:, p].clip(low, high), cost[:, p + 1].clip(low, high)
        ends = _on_segment(cost, accuracy, p, left) + _on_segment(cost, accuracy, p, right)
        area = area + (right - left) * ends / 2
    return area


def hull_values(cost: Array, accuracy: Array, at: Sequence[float]) -> Array:
    """Return H [R, B] at the costs [B] for each row of sorted points [R, P]."""
    c = np.asarray(at, float)[None, :]
    values = np.where(c <= cost[:, :1], accuracy[:, :1], accuracy[:, -1:])
    for p in range(cost.shape[1] - 1):
        inside = (c > cost[:, p : p + 1]) & (c <= cost[:, p + 1 : p + 2])
        values = np.where(inside, _on_segment(cost[:, :, None], accuracy[:, :, None], p, c), values)
    return values


def _on_segment(cost: Array, accuracy: Array, p: int, c: Array) -> Array:
    """Return the line through points p and p+1 at cost c; constant if both cost the same."""
    run = cost[:, p + 1] - cost[:, p]
    share = np.divide(c - cost[:, p], run, out=np.zeros(np.broadcast_shapes(c.shape, run.shape)), where=run > 0)
    return np.asarray(accuracy[:, p] + share * (accuracy[:, p + 1] - accuracy[:, p]))


def iso_cost(cost: Array, accuracy: Array, targets: Array) -> Array:
    """Return the least cost [R, T] with H(c) >= target [R, T] for each row of sorted points [R, P]; inf if never."""
    reached = np.where(accuracy[:, :1] >= targets - 1e-12, cost[:, :1], np.inf)
    for p in range(cost.shape[1] - 1):
        rise = (accuracy[:, p + 1] - accuracy[:, p])[:, None]
        above = accuracy[:, p + 1][:, None] >= targets - 1e-12
        missing = (targets - accuracy[:, p][:, None]).clip(0)
        share = np.divide(missing, rise, out=np.ones_like(missing), where=rise > 0).clip(0, 1)
        crossing = cost[:, p][:, None] + share * (cost[:, p + 1] - cost[:, p])[:, None]
        reached = np.where(np.isinf(reached) & above, crossing, reached)
    return reached


def hypervolume(cost: Array, accuracy: Array, reference_cost: float, reference_accuracy: float) -> Array:
    """Return Σ_j (c_{j+1} - c_j)·(a_j - a_ref)_+ [R] of sorted points [R, P], the last step ending at the reference."""
    edges = np.concatenate([cost.clip(None, reference_cost), np.full((len(cost), 1), reference_cost)], 1)
    return np.asarray((np.diff(edges, axis=1) * (accuracy - reference_accuracy).clip(0)).sum(1))
