"""Accuracy, and the expected accuracy if samples were assigned to exits at random with the same shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, to_numpy


def predictions(logits: Any) -> NDArray[np.int64]:
    """Return the class of the largest logit [..., C] -> [...]; ties go to the lowest class."""
    return to_numpy(logits).argmax(axis=-1).astype(np.int64)


def exit_shares(exit_index: Any, num_exits: int) -> Floats:
    """Return the share of the samples that left at each of the K exits [K]."""
    index = to_numpy(exit_index)
    return np.bincount(index, minlength=num_exits) / len(index)


def random_accuracy(shares: Floats, accuracy_all: Floats) -> float:
    """Return the expected accuracy of random exits with the same shares [K]: Σ_k share_k · accuracy_all_k."""
    return float(np.dot(shares, accuracy_all))
