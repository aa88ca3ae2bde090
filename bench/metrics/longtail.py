"""Accuracy and cost of classes with many, medium and few training samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, Ints, mean
from bench.metrics.samples import Measured, known

GROUPS = ("many", "medium", "few")
WORST = 20  # classes


def group_of(train_counts: Ints) -> Ints:
    """Return the group of each class [C]: 0 many (> 100 training samples), 1 medium (20 … 100), 2 few (< 20).

    Groups as in Liu et al., 2019.
    """
    return np.where(train_counts > 100, 0, np.where(train_counts >= 20, 1, 2))


def class_accuracies(prediction: Ints, labels: Ints) -> Floats:
    """Return the accuracy of every class that has a sample (its recall), in order of the classes."""
    counts = np.bincount(labels)
    some = counts > 0
    return np.bincount(labels[prediction == labels], minlength=len(counts))[some] / counts[some]


def scores(point: Measured) -> dict[str, float]:
    """Return balanced accuracy, accuracy of the worst WORST classes, and scores per group of classes.

    If classes fall into two or more groups, each group has `accuracy_…`, `macs_fraction_…` (mean cost over the plain
    backbone's), `mean_exit_…` (from 0) and `accuracy_tax_…` (accuracy of the last exit minus that of the policy).
    `savings_disparity` is the cost of few minus that of many, as fractions. Groups without test samples are left out.
    """
    test, labels = point.test, known(point.test.labels)
    per_class = class_accuracies(test.prediction, labels)
    found = {"balanced_accuracy": mean(per_class), "accuracy_worst20": mean(np.sort(per_class)[:WORST])}
    counts = known(point.train_counts)
    if len(np.unique(group_of(counts))) < 2:
        return found
    of_sample = group_of(counts)[labels]
    for g, name in enumerate(GROUPS):
        rows = of_sample == g
        if rows.any():
            found |= {f"{key}_{name}": value for key, value in _group(point, rows).items()}
    if {"macs_fraction_few", "macs_fraction_many"} <= found.keys():
        found["savings_disparity"] = found["macs_fraction_few"] - found["macs_fraction_many"]
    return found


def _group(point: Measured, rows: NDArray[np.bool_]) -> dict[str, float]:
    accuracy = float(point.test.correct[rows].mean())
    return {
        "accuracy": accuracy,
        "macs_fraction": mean(point.macs[rows]) / point.full_macs,
        "mean_exit": mean(point.test.exit_index[rows]),
        "accuracy_tax": float(point.test.exit_correct[rows, -1].mean()) - accuracy,
    }
