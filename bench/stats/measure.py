"""Test means of every operating point of a setting, on its test set and on the shared resamples of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.data import CellData, OperatingPoint
from bench.stats.oracle import first_correct, shares_from
from bench.stats.resample import BootstrapConfig, exact, sample_means

Array = NDArray[np.float64]
Key = tuple[str, str, int]  # label, point, seed
STATIC = "=static"  # the label of static exits here, which is not a valid name of a method


@dataclass(frozen=True)
class Means:
    """Rows [1+R]: the whole test set first, then its resamples (R = 0 without per-sample outcomes of every point)."""

    rows: int
    accuracy: dict[Key, Array]
    cost: dict[Key, Array]
    first_correct: dict[int, Array]  # seed: [1+R, K] shares of samples whose first correct static exit is k

    def of(self, label: str, points: Sequence[OperatingPoint]) -> tuple[Array, Array]:
        """Return cost and accuracy [1+R, P] of these points."""
        keys = [(label, p.name, p.seed) for p in points]
        return np.stack([self.cost[k] for k in keys], 1), np.stack([self.accuracy[k] for k in keys], 1)


def measure(cell: CellData, bootstrap: BootstrapConfig) -> Means:
    """Return the test means of all points with scores; row 0 has the values of the records."""
    points = sorted(
        [(e.label, p) for e in cell.methods for p in e.points if p.ok]
        + [(STATIC, p) for p in cell.static.points if p.ok],
        key=lambda item: (item[0], item[1].name, item[1].seed),
    )
    sizes = {len(p.correct) for _, p in points if p.correct is not None}
    sampled = bootstrap.sample_draws > 0 and bool(points) and len(sizes) == 1 and all(p.sampled for p in cell.measured)
    statics = {seed: cell.static_at(seed) for seed in cell.seeds if cell.static_at(seed)}
    keys = [(label, p.name, p.seed) for label, p in points]
    accuracy = {key: np.array([p.accuracy]) for key, (_, p) in zip(keys, points, strict=True)}
    cost = {key: np.array([p.cost]) for key, (_, p) in zip(keys, points, strict=True)}
    if not sampled:
        return Means(1, accuracy, cost, _recorded_oracle(cell))
    moving = [(key, p) for key, (_, p) in zip(keys, points, strict=True) if len(p.exit_costs) > 1]
    right = np.stack([np.asarray(p.correct, np.float32) for _, p in points], 1)
    spent = np.stack([_centred_costs(p) for _, p in moving], 1) if moving else np.empty((len(right), 0), np.float32)
    firsts = {
        seed: first_correct(np.stack([p.correct for p in exits if p.correct is not None], 1))
        for seed, exits in statics.items()
    }
    known = np.concatenate([f.astype(np.float32) for f in firsts.values()], 1) if firsts else right[:, :0]
    accuracies, costs, shares = sample_means([right, spent, known], bootstrap, cell.test_set)
    rows = 1 + bootstrap.sample_draws
    for j, key in enumerate(keys):
        accuracy[key] = np.concatenate([accuracy[key], accuracies[:, j]])
    at = {key: j for j, (key, _) in enumerate(moving)}
    for key, value in cost.items():
        cost[key] = np.concatenate([value, value + costs[:, at[key]] if key in at else np.repeat(value, rows - 1)])
    width = cell.num_exits
    oracle = {
        seed: np.concatenate([first.mean(0)[None], shares[:, i * width : (i + 1) * width]])
        for i, (seed, first) in enumerate(firsts.items())
    }
    return Means(rows, accuracy, cost, oracle)


def _centred_costs(point: OperatingPoint) -> NDArray[np.float32]:
    """Return the cost of each sample minus the mean."""
    return exact(np.asarray(point.exit_costs)[point.exit_index])


def _recorded_oracle(cell: CellData) -> dict[int, Array]:
    """Return the oracle's shares from its own records."""
    return {
        p.seed: shares_from(p.accuracy, p.shares)[None]
        for p in cell.oracle.points
        if p.ok and len(p.shares) == cell.num_exits
    }
