"""Proper scores: negative log-likelihood and the multi-class Brier score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.metrics.answers import ClassProbabilities
from bench.metrics.arrays import Floats, checked, mean

CLIP = 1e-12  # a single sample adds at most 27.6 nats


def nll(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean -log p_y in nats over probabilities [N, C] and labels [N]; p_y is clipped at 1e-12."""
    p, y = checked(probabilities, labels)
    return nll_of(np.take_along_axis(p, y[:, None], axis=1)[:, 0])


def nll_of(p_true: Floats) -> float:
    """Return `nll` from the probabilities of the labels [N]."""
    return abs(mean(-np.log(np.clip(p_true, CLIP, 1.0))))


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean Σ_c (p_c - 1[c = y])², in [0, 2], over probabilities [N, C] and labels [N]."""
    return mean(ClassProbabilities(*checked(probabilities, labels)).brier)
