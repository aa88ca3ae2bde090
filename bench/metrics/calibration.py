"""Expected calibration error of the top class, over bins of equal mass or of equal width; debiased; class by class."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from bench.errors import UserError, nearest
from bench.metrics.arrays import Floats, checked

STRATEGIES = ("mass", "width")


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15, strategy: str = "mass") -> float:
    """Return the expected calibration error of probabilities [N, C] and labels [N]; see `top_label_ece`.

    Raises UserError for values that are not probabilities, an unknown strategy or fewer than one bin.
    """
    if strategy not in STRATEGIES:
        raise UserError(f"'{strategy}' is not a binning strategy of ece.{nearest(strategy, STRATEGIES)}")
    if bins < 1:
        raise UserError(f"ece needs at least one bin, not {bins}.")
    p, y = checked(probabilities, labels)
    return top_label_ece(p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64), bins, strategy)


def top_label_ece(confidence: Floats, correct: Floats, bins: int = 15, strategy: str = "mass") -> float:
    """Return the expected calibration error Σ_b n_b/N · |accuracy_b - confidence_b| of confidences and correctness [N].

    `width`: bins (b/B, (b+1)/B] of the confidence, the largest probability (Guo et al., 2017). `mass`: the sorted
    confidences are cut into B bins whose counts differ by at most one; samples of equal confidence count with their
    common accuracy, so that a cut through them does not depend on the order of the rows. One sum over the whole split,
    never an average over mini-batches. Correctness (0 or 1) comes from logits, because a saturated softmax has no
    single best class.
    """
    n = len(confidence)
    return math.fsum(abs(gap) for *_, gap in _bins(confidence, correct, bins, strategy)) / n


def debiased_ece(confidence: Floats, correct: Floats, bins: int = 15) -> float:
    """Return the equal-mass ECE of confidences [N] and correctness [N] minus an estimate of its bias, at least 0.

    Kumar, Liang & Ma (2019, "Verified uncertainty calibration", the estimator for the L1 error in their code): with
    accuracy a_b, confidence c_b and s_b² = a_b (1 - a_b) / n_b in bin b, 2 ECE - Σ_b n_b/N E|X_b - c_b|, where X_b ~
    Normal(a_b, s_b²). They draw X_b; the mean of a folded normal is known, so nothing is drawn here. The bias is
    upward.
    """
    found = _bins(confidence, correct, bins, "mass")
    _, n, right, excess = (np.array(values) for values in zip(*found, strict=True))
    accuracy, gap = right / n, excess / n
    spread = np.sqrt(accuracy * (1 - accuracy) / n)
    some = np.where(spread > 0, spread, 1.0)
    folded = 2 * some * norm.pdf(gap / some) + gap * (1 - 2 * norm.cdf(-gap / some))
    again = np.where(spread > 0, folded, np.abs(gap))
    return max(0.0, math.fsum(n * (2 * np.abs(gap) - again)) / len(confidence))


def classwise_ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Return the mean over the C classes of Σ_b n_b/N · |share of label c - mean p_c| over bins of equal width of p_c.

    Kull et al. (2019), also called static calibration error (Nixon et al., 2019). Bins (b/B, (b+1)/B] of probabilities
    [N, C], 0 in the first; every class has the same weight, however rare.
    """
    p, y = checked(probabilities, labels)
    n, classes = p.shape
    place = np.clip(np.ceil(p * bins).astype(np.int64) - 1, 0, bins - 1) + bins * np.arange(classes)
    # in whole parts of 2^-32, which add up to the same sum in any order
    parts = np.bincount(place.ravel(), weights=np.rint(p * 2.0**32).ravel(), minlength=bins * classes) / 2.0**32
    right = np.bincount(place[np.arange(n), y], minlength=bins * classes)
    return math.fsum(np.abs(right - parts).tolist()) / (n * classes)


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[tuple[int, int, float, float]]:
    """Return bin, samples, mean confidence and accuracy of each bin of equal width that is not empty.

    Bins are (b/B, (b+1)/B] of confidences [N], b counted from 0. Σ n_b/N · |accuracy_b - confidence_b| over them is the
    equal-width ECE.
    """
    found = _bins(np.asarray(confidence, np.float64), np.asarray(correct, np.float64), bins, "width")
    return [(b, n, (right - gap) / n, right / n) for b, n, right, gap in found]


def _bins(confidence: Floats, correct: Floats, bins: int, strategy: str) -> list[tuple[int, int, float, float]]:
    """Return number, samples, Σ correct and Σ (correct - confidence) of every bin that is not empty, summed exactly."""
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
    kept = [(b, correct[part], confidence[part]) for b, part in enumerate(parts) if len(part)]
    return [(b, len(c), math.fsum(c.tolist()), math.fsum((c - p).tolist())) for b, c, p in kept]
