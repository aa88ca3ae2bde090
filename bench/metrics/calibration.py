"""Expected calibration error of the top class, over bins of equal mass or of equal width; debiased; class by class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from bench.errors import UserError, nearest
from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, Ints, blocks, checked

STRATEGIES = ("mass", "width")
Bin = tuple[int, int, float, float]  # number, samples, Σ correct, Σ (correct - confidence)


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
    return binned_ece(bins_of(by_confidence(confidence, correct), bins, strategy))


def binned_ece(found: Sequence[Bin]) -> float:
    """Return the expected calibration error from the bins of `bins_of`."""
    return math.fsum(abs(gap) for *_, gap in found) / sum(n for _, n, *_ in found)


def debiased_ece(confidence: Floats, correct: Floats, bins: int = 15) -> float:
    """Return the equal-mass ECE of confidences [N] and correctness [N] minus an estimate of its bias, at least 0.

    Kumar, Liang & Ma (2019, "Verified uncertainty calibration", the estimator for the L1 error in their code): with
    accuracy a_b, confidence c_b and s_b² = a_b (1 - a_b) / n_b in bin b, 2 ECE - Σ_b n_b/N E|X_b - c_b|, where X_b ~
    Normal(a_b, s_b²). They draw X_b; the mean of a folded normal is known, so nothing is drawn here. The bias is
    upward.
    """
    return binned_debiased_ece(bins_of(by_confidence(confidence, correct), bins, "mass"))


def binned_debiased_ece(found: Sequence[Bin]) -> float:
    """Return `debiased_ece` from the bins of equal mass of `bins_of`."""
    _, n, right, excess = (np.array(values) for values in zip(*found, strict=True))
    accuracy, gap = right / n, excess / n
    spread = np.sqrt(accuracy * (1 - accuracy) / n)
    some = np.where(spread > 0, spread, 1.0)
    folded = 2 * some * norm.pdf(gap / some) + gap * (1 - 2 * norm.cdf(-gap / some))
    again = np.where(spread > 0, folded, np.abs(gap))
    return max(0.0, math.fsum(n * (2 * np.abs(gap) - again)) / int(n.sum()))


def classwise_ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Return the mean over the C classes of Σ_b n_b/N · |share of label c - mean p_c| over bins of equal width of p_c.

    Kull et al. (2019), also called static calibration error (Nixon et al., 2019). Bins (b/B, (b+1)/B] of probabilities
    [N, C], 0 in the first; every class has the same weight, however rare.
    """
    return classwise_ece_of(ClassProbabilities(*checked(probabilities, labels)), bins)


def classwise_ece_of(table: ClassProbabilities, bins: int) -> float:
    """Return `classwise_ece` from a table of probabilities."""
    n, classes = len(table.labels), table.classes
    # in integer multiples of 2^-32, whose sum does not depend on their order
    total, parts = np.zeros(classes), np.zeros((bins, classes))
    for rows in blocks(n, classes):
        p = table.part(rows)
        total += np.rint(p * 2.0**32).sum(axis=0)
        beyond = np.flatnonzero(p * bins > 1)  # the few that are not in the first bin
        some = p.ravel()[beyond]
        place = _bin(some, bins) * classes + beyond % classes
        parts += np.bincount(place, np.rint(some * 2.0**32), bins * classes).reshape(bins, classes)
    parts[0] = total - parts[1:].sum(axis=0)
    right = np.bincount(_bin(table.p_true, bins) * classes + table.labels, minlength=bins * classes)
    return math.fsum(np.abs(right - parts.ravel() / 2.0**32).tolist()) / (n * classes)


def _bin(values: Floats, bins: int) -> Ints:
    return np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[tuple[int, int, float, float]]:
    """Return bin, samples, mean confidence and accuracy of each bin of equal width that is not empty.

    Bins are (b/B, (b+1)/B] of confidences [N], b counted from 0. Σ n_b/N · |accuracy_b - confidence_b| over them is the
    equal-width ECE.
    """
    made = by_confidence(np.asarray(confidence, np.float64), np.asarray(correct, np.float64))
    return reliability_of(bins_of(made, bins, "width"))


def reliability_of(found: Sequence[Bin]) -> list[tuple[int, int, float, float]]:
    """Return `reliability` from bins of equal width."""
    return [(b, n, (right - gap) / n, right / n) for b, n, right, gap in found]


def by_confidence(confidence: Floats, correct: Floats) -> tuple[Floats, Floats]:
    """Return confidences [N] in rising order, and for each the share of correct ones among those that equal it [N]."""
    order = np.argsort(confidence)
    rising = confidence[order]
    starts = np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))
    counts = np.diff(starts, append=len(order))
    return rising, np.repeat(np.add.reduceat(correct[order], starts) / counts, counts)


def bins_of(rising: tuple[Floats, Floats], bins: int, strategy: str) -> list[Bin]:
    """Return number, samples, Σ correct and Σ (correct - confidence) of every bin that is not empty, summed exactly.

    rising: what `by_confidence` returns.
    """
    confidence, correct = rising
    if strategy == "mass":
        parts: list[NDArray[np.intp]] = np.array_split(np.arange(len(confidence)), bins)
    else:
        place = np.clip(np.searchsorted(np.linspace(0.0, 1.0, bins + 1), confidence, side="left") - 1, 0, bins - 1)
        parts = np.split(np.arange(len(confidence)), np.searchsorted(place, np.arange(1, bins)))
    kept = [(b, correct[part], confidence[part]) for b, part in enumerate(parts) if len(part)]
    return [(b, len(c), math.fsum(c.tolist()), math.fsum((c - p).tolist())) for b, c, p in kept]
