"""Accuracy, and what the same exit shares would reach if they were dealt out blindly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, to_numpy


def predictions(logits: Any) -> NDArray[np.int64]:
    """Predict the class of the largest logit [..., C] -> [...]; the lowest class among equals."""
    return to_numpy(logits).argmax(axis=-1).astype(np.int64)


def accuracy(predicted: Any, labels: Any) -> float:
    """Share of predictions [N] that equal the labels [N]."""
    return float((to_numpy(predicted) == to_numpy(labels)).mean())


def exit_shares(exit_index: Any, num_exits: int) -> Floats:
    """Share of the samples that left at each of the K exits [K]."""
    index = to_numpy(exit_index)
    return np.bincount(index, minlength=num_exits) / len(index)


def random_accuracy(shares: Floats, accuracy_all: Floats) -> float:
    """Expected accuracy when the same exit shares [K] are dealt to random samples: Σ_k share_k · accuracy_all_k."""
    return float(np.dot(shares, accuracy_all))
