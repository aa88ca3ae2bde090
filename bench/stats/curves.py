"""The curves of one method at one seed, as numbers: areas, values at budgets, iso-accuracy costs, hypervolume.

A method has two curves. Its *own* curve mixes its policies with each other, and below the cheapest one with the
cheapest static exit: what a user of the method gets. The *augmented* curve may use all static exits too, which replace
bad policies. Members of both are chosen on cal, coordinates come from test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats import frontier
from bench.stats.data import CellData, OperatingPoint, Split
from bench.stats.measure import STATIC, Means
from bench.stats.oracle import vertices

Array = NDArray[np.float64]
LOSSES = (0.0, 0.005, 0.01, 0.02)  # accuracy given up against the plain backbone, for iso-accuracy costs


@dataclass(frozen=True)
class Window:
    """The costs [low, high], fractions of the plain backbone, over which a setting's curves are averaged."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Its length, 0 if it is empty."""
        return max(self.high - self.low, 0.0)


@dataclass(frozen=True)
class Reference:
    """The corner of the hypervolume, and the divisor that scales a volume to [0, 1]."""

    cost: float
    accuracy: float
    scale: float


@dataclass(frozen=True)
class Setting:
    """What all curves of a setting have in common."""

    window: Window
    split: Split  # that decides which points are on a curve
    reference: Reference
    budgets: tuple[float, ...]


def setting(cell: CellData, seeds: Sequence[int]) -> Setting:
    """Return the common window, from the cost of the first static exit to the plain backbone, and the rest.

    So the window depends on the bank alone, not on the methods that are present. Without static exits it begins where
    the last method begins. The reference accuracy of hypervolumes is that of static exit 0, mean over seeds, and 0
    without static exits.
    """
    statics = [cell.static_at(seed) for seed in seeds if cell.static_at(seed)]
    corner, low = 0.0, 0.0
    if statics:
        corner, low = float(np.mean([s[0].accuracy for s in statics])), statics[0][0].cost
    else:
        costs = [[p.cost for p in e.of(seed) if p.ok] for e in cell.methods for seed in seeds]
        low = max(map(min, filter(None, costs)), default=0.0)
    return Setting(Window(low, 1.0), cell.choosing, Reference(1.0, corner, (1.0 - low) * (1.0 - corner)), cell.budgets)


@dataclass(frozen=True)
class Curve:
    """A frontier by its test coordinates [1+R, P], sorted by cost; `steps` are those of the step envelope."""

    hull: tuple[Array, Array]
    steps: tuple[Array, Array]
    names: tuple[str, ...] = ()  # of the points on the hull, as chosen on cal

    def nauc(self, window: Window) -> Array:
        """Return the mean accuracy [1+R] over the costs of a window, NaN where it is empty."""
        area = frontier.hull_area(*self.hull, window.low, window.high)
        return area / window.width if window.width else np.full(len(area), np.nan)

    def accuracy(self, at: Sequence[float]) -> Array:
        """Return the accuracy [1+R, B] at costs."""
        return frontier.hull_values(*self.hull, at)


Labelled = tuple[str, OperatingPoint]  # a point with the label it is measured by


def chosen(points: Sequence[Labelled], split: Split, means: Means, start: Labelled | None = None) -> Curve | None:
    """Return the frontier of points: members by a split, coordinates on test; None without points.

    start: a point that the hull begins with if all members cost more than it does.
    """
    at = [p.on(split) for _, p in points]
    costs, accuracies = [cost for cost, _ in at], [accuracy for _, accuracy in at]
    members = frontier.hull_members(costs, accuracies)
    if not members:
        return None
    hull = [points[i] for i in members]
    anchored = start is not None and start[1].on(split)[0] < costs[members[0]]
    steps = [points[i] for i in frontier.step_members(costs, accuracies)]
    return Curve(
        _coordinates([start, *hull] if start is not None and anchored else hull, means),
        _coordinates(steps, means),
        tuple(p.name for _, p in hull),
    )


def _coordinates(points: Sequence[Labelled], means: Means) -> tuple[Array, Array]:
    keys = [(label, p.name, p.seed) for label, p in points]
    cost, accuracy = np.stack([means.cost[k] for k in keys], 1), np.stack([means.accuracy[k] for k in keys], 1)
    return frontier.by_cost(cost, accuracy)


def static_curve(cell: CellData, seed: int, means: Means) -> Curve | None:
    """Return the frontier of the static exits of a seed: mixing them takes no skill."""
    return chosen(_static(cell, seed), cell.choosing, means)


def own_curve(cell: CellData, label: str, seed: int, means: Means) -> Curve | None:
    """Return the hull of a method's own policies of a seed, mixed with the cheapest static exit below the first one."""
    return chosen(_own(cell, label, seed), cell.choosing, means, next(iter(_static(cell, seed)), None))


def augmented_curve(cell: CellData, label: str, seed: int, means: Means) -> Curve | None:
    """Return the frontier of a method's policies and all static exits of a seed."""
    # ties go to the static exit, which needs no policy
    return chosen([*_static(cell, seed), *_own(cell, label, seed)], cell.choosing, means)


def _static(cell: CellData, seed: int) -> list[Labelled]:
    return [(STATIC, p) for p in cell.static_at(seed)]


def _own(cell: CellData, label: str, seed: int) -> list[Labelled]:
    entry = next(e for e in cell.methods if e.label == label)
    return [(label, p) for p in entry.of(seed) if p.ok]


def oracle_curve(cell: CellData, seed: int, means: Means) -> Curve | None:
    """Return the Lagrangian oracle's curve on the plain heads: an upper bound for rules on them."""
    exits, shares = cell.static_at(seed), means.first_correct.get(seed)
    if not exits or shares is None:
        return None
    corner = vertices(shares, [p.cost for p in exits])
    return Curve(corner, corner)


def own_gains_where_chosen(
    cell: CellData, labels: Sequence[str], seeds: Sequence[int], window: Window
) -> dict[str, float]:
    """Return mean own gains over seeds, by coordinates on the split that chooses members instead of test.

    Methods whose own gain is unknown are left out.
    """
    found = {label: [_where_chosen(cell, label, seed, window) for seed in seeds] for label in labels}
    means = {label: float(np.mean(values)) for label, values in found.items() if values}
    return {label: mean for label, mean in means.items() if np.isfinite(mean)}


def _where_chosen(cell: CellData, label: str, seed: int, window: Window) -> float:
    points = [*_static(cell, seed), *_own(cell, label, seed)]
    at = {(who, p.name, p.seed): np.array([p.on(cell.choosing)]) for who, p in points}
    means = Means(1, {k: v[:, 1] for k, v in at.items()}, {k: v[:, 0] for k, v in at.items()}, {})
    own, static = own_curve(cell, label, seed, means), static_curve(cell, seed, means)
    return float((own.nauc(window) - static.nauc(window))[0]) if own and static else float("nan")


def scores(
    own: Curve, augmented: Curve, static: Curve | None, oracle: Curve | None, full: Array | None, common: Setting
) -> Mapping[str, Array]:
    """Return all statistics [1+R] of one method by name; NaN where a reference that they need is missing.

    own (the own gain: mean over the window of own curve minus static hull), nauc, gain, hypervolume and
    hypervolume_share of the augmented curve; of the own curve accuracy@b, gain@b and regret@b for each budget b (NaN
    below its first point), and cost@δ for each of LOSSES. full [1+R]: accuracy of the last static exit.
    """
    nothing = np.full(len(own.hull[0]), np.nan)
    zero = static.nauc(common.window) if static else nothing
    found = {"own": own.nauc(common.window) - zero, "nauc": augmented.nauc(common.window)}
    found["gain"] = found["nauc"] - zero
    corner = common.reference
    found["hypervolume"] = frontier.hypervolume(*augmented.steps, corner.cost, corner.accuracy)
    found["hypervolume_share"] = found["hypervolume"] / corner.scale if corner.scale > 0 else nothing
    at = common.budgets
    value = own.accuracy(at)
    begins = float(own.hull[0][0].min())  # of the test set itself
    zeros = static.accuracy(at) if static else np.full_like(value, np.nan)
    tops = oracle.accuracy(at) if oracle else np.full_like(value, np.nan)
    for j, b in enumerate(at):
        reachable = b >= begins - 1e-12
        found[f"accuracy@{b:g}"] = value[:, j] if reachable else nothing
        found[f"gain@{b:g}"] = value[:, j] - zeros[:, j] if reachable else nothing
        found[f"regret@{b:g}"] = tops[:, j] - value[:, j] if reachable else nothing
    targets = None if full is None else full[:, None] - np.array(LOSSES)
    costs = None if targets is None else frontier.iso_cost(*own.hull, targets)
    for j, loss in enumerate(LOSSES):
        found[f"cost@{loss:g}"] = nothing if costs is None else costs[:, j]
    return found
