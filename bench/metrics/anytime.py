"""Anytime prediction: accuracy under interruption, and whether a sample's answer ever gets worse."""

from __future__ import annotations

import numpy as np

from bench.metrics.arrays import Floats, Ints
from bench.metrics.samples import Measured, Samples, known

DROPS = (0.01, 0.05, 0.1, 0.2, 0.5)


def anytime_accuracy(accuracy: Floats, costs: Ints) -> float:
    """Return the mean accuracy of the last exit reached if inference stops at a uniformly random cost in [C_1, C_K].

    Σ_{k<K} accuracy_k (C_{k+1} - C_k) / (C_K - C_1), from accuracies [K] on all samples and costs [K] in MACs: steps,
    no interpolation. With a single exit it is that exit's accuracy.
    """
    if costs[-1] == costs[0]:
        return float(accuracy[-1])
    return float(np.dot(accuracy[:-1], np.diff(costs)) / (costs[-1] - costs[0]))


def worst_drop(values: Floats) -> Floats:
    """Return the largest fall max_{j<k} v_j - v_k of each row [N] of [N, K], at least 0."""
    return (np.maximum.accumulate(values, axis=1) - values).max(axis=1)


def scores(point: Measured) -> dict[str, float]:
    """Return anytime accuracy and conditional monotonicity (Jazbec et al., 2023).

    `drop_probability@τ` is the share of samples whose label loses more than τ of probability from some exit to a later
    one; `drop_correct` the share that is right at some exit and wrong at a later one.
    """
    test = point.test
    accuracy, drops = test.once("anytime", lambda: (test.exit_correct.mean(axis=0), _drops(test)))
    return {"anytime_accuracy": anytime_accuracy(accuracy, known(point.exit_macs)), **drops}


def _drops(test: Samples) -> dict[str, float]:
    fall = worst_drop(known(test.exit_p_true))
    found = {"drop_correct": float((worst_drop(test.exit_correct.astype(np.int8)) > 0).mean())}
    return found | {f"drop_probability@{tau}": float((fall > tau).mean()) for tau in DROPS}
