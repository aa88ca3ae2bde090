"""Prediction sets of one split pair, scored from probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from bench.metrics.arrays import mean
from bench.metrics.mapie_sets import hits_and_sizes

Split = tuple[Any, Any]  # probabilities [N, C] and labels [N]


@dataclass(frozen=True)
class SetScores:
    """Scores of the prediction sets of one alpha."""

    coverage: float
    size: float
    empty_share: float
    singleton_share: float


def set_scores(cal: Split, test: Split, alphas: Sequence[float], score: str = "lac") -> list[SetScores]:
    """Score `lac`, `aps` or `raps` sets calibrated on cal over test, one entry per alpha, in order of content."""
    return [
        SetScores(float(h.mean()), mean(s), float((s == 0).mean()), float((s == 1).mean()))
        for h, s in zip(*hits_and_sizes(*ordered(*cal), *ordered(*test), alphas, score), strict=True)
    ]


def ordered(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples in an order that only their content decides."""
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    order = np.lexsort((y, np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in p], np.uint64)))
    return p[order], y[order]


def lac_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 - p_y [N]."""
    return 1.0 - probabilities[np.arange(len(labels)), labels]
