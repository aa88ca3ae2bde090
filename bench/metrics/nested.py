"""Whether the prediction sets of later exits are subsets of those of earlier ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, mean
from bench.metrics.conformal import lac_quantile
from bench.metrics.samples import Column, Measured, known


def nestedness(point: Measured) -> list[Floats]:
    """Return |C_1 ∩ … ∩ C_k| / |C_k| of every test sample and exit, [N, K] per alpha; 1 if C_k is empty.

    C_j is the LAC set at exit j, its quantile from all calibration samples scored there (Jazbec et al., 2024).
    """
    stack, confidence = known(point.exit_logits), known(point.test.exit_confidence)
    scores = 1.0 - known(point.cal.exit_p_true)
    found = [np.empty(confidence.shape) for _ in point.alphas]
    shared = [np.ones((len(stack), stack.shape[2]), bool) for _ in point.alphas]
    for k in range(stack.shape[1]):
        logits = stack[:, k]
        total = logits.max(axis=1) - np.log(confidence[:, k])  # log-sum-exp
        for a, alpha in enumerate(point.alphas):
            # 1 - p_c <= q in terms of logits, so that the probabilities of all exits are not needed
            q = lac_quantile(scores[:, k], alpha)
            least = math.log(1.0 - q) if q < 1.0 else -math.inf
            inside = logits >= (total + least).astype(logits.dtype)[:, None]
            shared[a] &= inside
            size = _count(inside)
            found[a][:, k] = np.where(size > 0, _count(shared[a]) / np.maximum(size, 1), 1.0)
    return found


def _count(members: NDArray[np.bool_]) -> NDArray[np.float32]:
    return members.astype(np.float32) @ np.ones(members.shape[1], np.float32)  # several times as fast as a sum


def scores(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the mean over test samples at the exit where they left and, per exit, over all test samples."""
    rows, index = np.arange(len(point.test.exit_index)), point.test.exit_index
    values, columns = point.test.once(("nestedness", point.alphas, point.cal.answers), lambda: _all_exits(point))
    found = {f"nestedness_lac@{a}": mean(v[rows, index]) for a, v in zip(point.alphas, values, strict=True)}
    return found, dict(columns)


def _all_exits(point: Measured) -> tuple[list[Floats], dict[str, Column]]:
    values = nestedness(point)
    columns: dict[str, Column] = {
        f"nestedness_lac@{a}": [mean(column) for column in v.T] for a, v in zip(point.alphas, values, strict=True)
    }
    return values, columns
