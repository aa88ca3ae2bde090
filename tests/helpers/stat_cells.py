"""Made-up cells with per-sample outcomes: heads of rising quality, and rules with a noisy view of who is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.stats.data import CellData, Entry, OperatingPoint

COSTS = (0.15, 0.3, 0.5, 0.75, 1.0)
LEVELS = (-0.6, -0.1, 0.2, 0.45, 0.6)


def point(
    name: str, seed: int, right: NDArray, index: NDArray, costs: Sequence[float], **known: object
) -> OperatingPoint:
    """A point from what each sample did; `right` [N, K] of each exit. Val is the first half, test the second."""
    half = len(index) // 2
    taken = right[np.arange(len(index)), index]
    spent = np.asarray(costs)[index]
    shares = np.bincount(index[half:], minlength=len(costs)) / (len(index) - half)
    return OperatingPoint(
        name=name,
        seed=seed,
        status="ok",
        val_accuracy=float(taken[:half].mean()),
        val_cost=float(spent[:half].mean()),
        accuracy=float(taken[half:].mean()),
        cost=float(spent[half:].mean()),
        shares=tuple(shares.tolist()),
        exit_costs=tuple(costs),
        exit_accuracy=tuple(right[half:].mean(0).tolist()),
        correct=taken[half:],
        exit_index=index[half:],
        **known,  # type: ignore[arg-type]
    )


def cell(
    methods: Sequence[str] = ("a", "b", "c"),
    seeds: Sequence[int] = range(6),
    budgets: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    samples: int = 400,
    skill: Sequence[float] = (1.5, 0.8, 0.4),
    number: int = 0,
    **known: object,
) -> CellData:
    """A complete cell: method m sees whether exit k is right, with signal `skill[m]` against noise 1."""
    rng = np.random.default_rng(number)
    n = 2 * samples
    difficulty = rng.standard_normal((n, 1))
    points: dict[str, list[OperatingPoint]] = {label: [] for label in ("static", "oracle", *methods)}
    for seed in seeds:
        latent = np.array(LEVELS) + 0.05 * rng.standard_normal() - 0.8 * difficulty
        right = latent + 0.6 * rng.standard_normal((n, len(COSTS))) > 0
        for k in range(len(COSTS)):
            full = point(f"exit={k}", seed, right, np.full(n, k), COSTS)
            one = replace(full, exit_costs=(COSTS[k],), exit_accuracy=(full.accuracy,))
            points["static"].append(one)
        first = np.where(right.any(1), right.argmax(1), 0)
        points["oracle"].append(replace(point("oracle", seed, right, first, COSTS), exit_costs=(), correct=None))
        for m, label in enumerate(methods):
            view = skill[m % len(skill)] * np.where(right, 1, -1) + rng.standard_normal(latent.shape)
            for budget in budgets:
                index = _within(view, budget, n // 2)
                points[label].append(point(f"budget={budget:g}", seed, right, index, COSTS, budget=budget))
    made = {label: Entry(label, tuple(held), name=label, heads="plain") for label, held in points.items()}
    return CellData(
        name="made up",
        methods=tuple(made[label] for label in sorted(methods)),
        static=made["static"],
        oracle=made["oracle"],
        num_exits=len(COSTS),
        test_set=f"made up {number}",
        **known,  # type: ignore[arg-type]
    )


def _within(view: NDArray, budget: float, half: int) -> NDArray:
    """Leave where the view passes the lowest threshold whose val cost keeps to the budget."""
    best = np.zeros(len(view), np.int64)
    for threshold in np.quantile(view, np.linspace(0, 1, 41)):
        stop = view >= threshold
        stop[:, -1] = True
        index = stop.argmax(1)
        if np.asarray(COSTS)[index[:half]].mean() <= budget:
            best = index
    return best


def edited(cell, label, change):
    """The cell with every point of a method passed through `change`, which drops it by returning None."""
    entries = []
    for entry in cell.methods:
        points = tuple(p for p in (change(p) if entry.label == label else p for p in entry.points) if p is not None)
        entries.append(replace(entry, points=points))
    return replace(cell, methods=tuple(entries))
