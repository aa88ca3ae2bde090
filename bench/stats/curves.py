"""The curve of one method at one seed, as numbers: areas, values at budgets, iso-accuracy costs, hypervolume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.stats import frontier
from bench.stats.data import CellData, OperatingPoint
from bench.stats.measure import STATIC, Means
from bench.stats.oracle import vertices

Array = NDArray[np.float64]
Split = Literal["cal", "val"]
LOSSES = (0.0, 0.005, 0.01, 0.02)  # accuracy given up against the plain backbone, for iso-accuracy costs


@dataclass(frozen=True)
class Window:
    """The costs [low, high], fractions of the plain backbone, over which a setting's curves are averaged."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Its length, 0 where nothing is left."""
        return max(self.high - self.low, 0.0)


@dataclass(frozen=True)
class Reference:
    """The corner of the hypervolume, and what a volume is divided by to lie in [0, 1]."""

    cost: float
    accuracy: float
    scale: float


@dataclass(frozen=True)
class Setting:
    """What all curves of a setting have in common."""

    window: Window
    raw_window: Window  # of the curves without static exits
    reference: Reference
    budgets: tuple[float, ...]


def setting(cell: CellData, seeds: Sequence[int]) -> Setting:
    """Return the common window, from the most expensive first exit of any method to the plain backbone, and the rest.

    Without static exits a curve begins at its cheapest point, so that the window does too, as the raw one always does.
    The reference accuracy of hypervolumes is that of static exit 0, mean over seeds, and 0 without static exits.
    """
    statics = [cell.static_at(seed) for seed in seeds if cell.static_at(seed)]
    points = [p for e in cell.methods for p in e.points if p.ok]
    first = max([p.exit_costs[0] for p in points if p.exit_costs] + [s[0].cost for s in statics], default=0.0)
    cheapest = []
    for entry in cell.methods:
        for seed in seeds:
            mine = [p for p in entry.of(seed) if p.ok]
            members = frontier.hull_members([p.val_cost for p in mine], [p.val_accuracy for p in mine])
            if members:
                cheapest.append(mine[members[0]].cost)
    raw = max([first, *cheapest])
    low = first if statics else raw
    corner = float(np.mean([s[0].accuracy for s in statics])) if statics else 0.0
    start = statics[0][0].cost if statics else low
    return Setting(
        Window(low, 1.0), Window(raw, 1.0), Reference(1.0, corner, (1.0 - start) * (1.0 - corner)), cell.budgets
    )


@dataclass(frozen=True)
class Curve:
    """A frontier by its test coordinates [1+R, P], sorted by cost; `steps` are those of the step envelope."""

    hull: tuple[Array, Array]
    steps: tuple[Array, Array]
    names: tuple[str, ...] = ()  # of the points on the hull, as chosen on val

    def nauc(self, window: Window) -> Array:
        """Return the mean accuracy [1+R] over the costs of a window, NaN where it is empty."""
        area = frontier.hull_area(*self.hull, window.low, window.high)
        return area / window.width if window.width else np.full(len(area), np.nan)

    def accuracy(self, at: Sequence[float]) -> Array:
        """Return the accuracy [1+R, B] at costs."""
        return frontier.hull_values(*self.hull, at)


def chosen(points: Sequence[OperatingPoint], labels: Sequence[str], means: Means) -> Curve | None:
    """Return the frontier of points with these labels: members by val, coordinates on test; None without points."""
    val = [p.val_cost for p in points], [p.val_accuracy for p in points]
    members = frontier.hull_members(*val)
    if not members:
        return None
    return Curve(
        _coordinates(points, labels, members, means),
        _coordinates(points, labels, frontier.step_members(*val), means),
        tuple(points[i].name for i in members),
    )


def _coordinates(
    points: Sequence[OperatingPoint], labels: Sequence[str], members: Sequence[int], means: Means
) -> tuple[Array, Array]:
    keys = [(labels[i], points[i].name, points[i].seed) for i in members]
    cost, accuracy = np.stack([means.cost[k] for k in keys], 1), np.stack([means.accuracy[k] for k in keys], 1)
    return frontier.by_cost(cost, accuracy)


def static_curve(cell: CellData, seed: int, means: Means) -> Curve | None:
    """Return the frontier of the static exits of a seed: mixing them takes no skill."""
    points = cell.static_at(seed)
    return chosen(points, [STATIC] * len(points), means)


def method_curve(cell: CellData, label: str, seed: int, means: Means, *, augmented: bool = True) -> Curve | None:
    """Return the frontier of a method's points of a seed, with the static exits unless told otherwise."""
    entry = next(e for e in cell.methods if e.label == label)
    own = [p for p in entry.of(seed) if p.ok]
    free = cell.static_at(seed) if augmented else ()
    # of equal points the static exit counts: it is free
    return chosen([*free, *own], [STATIC] * len(free) + [label] * len(own), means)


def oracle_curve(cell: CellData, seed: int, means: Means) -> Curve | None:
    """Return the Lagrangian oracle's curve on the plain heads: what no rule on them can pass."""
    exits, shares = cell.static_at(seed), means.first_correct.get(seed)
    if not exits or shares is None:
        return None
    corner = vertices(shares, [p.cost for p in exits])
    return Curve(corner, corner)


def nauc_on(cell: CellData, label: str, seed: int, window: Window, split: Split) -> float:
    """Return the NAUC of a frontier chosen on val, by its coordinates on a split other than test; NaN if unknown."""
    entry = next(e for e in cell.methods if e.label == label)
    points = [*cell.static_at(seed), *(p for p in entry.of(seed) if p.ok)]
    members = frontier.hull_members([p.val_cost for p in points], [p.val_accuracy for p in points])
    if not members or not window.width:
        return float("nan")
    at = [(p.cal_cost, p.cal_accuracy) if split == "cal" else (p.val_cost, p.val_accuracy) for p in points]
    cost, accuracy = np.array([at[i] for i in members]).T[:, None]
    return float(frontier.hull_area(*frontier.by_cost(cost, accuracy), window.low, window.high)[0]) / window.width


def scores(
    curve: Curve, raw: Curve | None, static: Curve | None, oracle: Curve | None, full: Array | None, common: Setting
) -> Mapping[str, Array]:
    """Return all statistics [1+R] of one curve by name; NaN where a reference that they need is missing.

    nauc, nauc_raw, gain, skill, hypervolume, hypervolume_share; accuracy@b, gain@b and regret@b for each budget b (NaN
    below the curve's first point); cost@δ for each of LOSSES. full [1+R]: accuracy of the last static exit.
    """
    nothing = np.full(len(curve.hull[0]), np.nan)
    found = {"nauc": curve.nauc(common.window), "nauc_raw": raw.nauc(common.raw_window) if raw else nothing}
    zero = static.nauc(common.window) if static else nothing
    best = oracle.nauc(common.window) if oracle else nothing
    found["gain"] = found["nauc"] - zero
    room = best - zero
    found["skill"] = np.divide(found["gain"], room, out=nothing.copy(), where=room > 0)
    corner = common.reference
    found["hypervolume"] = frontier.hypervolume(*curve.steps, corner.cost, corner.accuracy)
    found["hypervolume_share"] = found["hypervolume"] / corner.scale if corner.scale > 0 else nothing
    at = common.budgets
    value = curve.accuracy(at)
    begins = float(curve.hull[0][0].min())  # of the test set itself
    zeros = static.accuracy(at) if static else np.full_like(value, np.nan)
    tops = oracle.accuracy(at) if oracle else np.full_like(value, np.nan)
    for j, b in enumerate(at):
        reachable = b >= begins - 1e-12
        found[f"accuracy@{b:g}"] = value[:, j] if reachable else nothing
        found[f"gain@{b:g}"] = value[:, j] - zeros[:, j] if reachable else nothing
        found[f"regret@{b:g}"] = tops[:, j] - value[:, j] if reachable else nothing
    targets = None if full is None else full[:, None] - np.array(LOSSES)
    costs = None if targets is None else frontier.iso_cost(*curve.hull, targets)
    for j, loss in enumerate(LOSSES):
        found[f"cost@{loss:g}"] = nothing if costs is None else costs[:, j]
    return found
