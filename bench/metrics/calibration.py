"""Expected calibration error of the top class, over bins of equal mass or of equal width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import UserError, nearest
from bench.metrics.arrays import Floats, checked

STRATEGIES = ("mass", "width")


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15, strategy: str = "mass") -> float:
    """Expected calibration error Σ_b n_b/N · |accuracy_b - confidence_b| of probabilities [N, C] and labels [N].

    `width`: bins (b/B, (b+1)/B] of the confidence, the largest probability (Guo et al., 2017). `mass`: the sorted
    confidences are cut into B bins whose counts differ by at most one; samples of equal confidence count with their
    common accuracy, so that a cut through them does not depend on the order of the rows. One sum over the whole split,
    never an average over mini-batches. Raises UserError for what are no probabilities,
    an unknown strategy or fewer than one bin.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"'{strategy}' is no binning strategy of ece.{nearest(strategy, STRATEGIES)}")
    if bins < 1:
        raise UserError(f"ece needs at least one bin, not {bins}.")
    p, y = checked(probabilities, labels)
    confidence, correct = p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64)
    return top_label_ece(confidence, correct, bins, strategy)


def top_label_ece(confidence: Floats, correct: Floats, bins: int = 15, strategy: str = "mass") -> float:
    """The same from confidences [N] and correctness [N] (0 or 1), where the prediction was made from logits."""
    values, group = np.unique(confidence, return_inverse=True)
    counts = np.bincount(group)
    hit_rate = np.bincount(group, weights=correct) / counts
    if strategy == "mass":
        # one entry a sample, in order of confidence; equals are interchangeable
        confidence, correct = np.repeat(values, counts), np.repeat(hit_rate, counts)
        parts: list[NDArray[np.intp]] = np.array_split(np.arange(len(confidence)), bins)
    else:
        order = np.argsort(confidence, kind="stable")
        confidence, correct = confidence[order], hit_rate[group][order]
        place = np.clip(np.searchsorted(np.linspace(0.0, 1.0, bins + 1), confidence, side="left") - 1, 0, bins - 1)
        parts = np.split(np.arange(len(confidence)), np.searchsorted(place, np.arange(1, bins)))
    gaps = [abs(math.fsum((correct[part] - confidence[part]).tolist())) for part in parts if len(part)]
    return math.fsum(gaps) / len(confidence)
