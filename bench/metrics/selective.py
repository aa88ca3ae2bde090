"""Selective prediction: the errors that remain if only the most confident samples are answered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, mean
from bench.metrics.samples import Measured

RISKS = (0.05, 0.1)


def risk_curve(confidence: Floats, correct: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the error rate r_m [N] of the m most confident samples, m = 1 … N, and where a threshold can cut [N].

    Samples of equal confidence count with their common error rate, so no order among them matters; a threshold includes
    all of them or none.
    """
    values, group = np.unique(-confidence, return_inverse=True)
    counts = np.bincount(group)
    errors = np.bincount(group[~correct], minlength=len(values))
    ends = np.cumsum(counts)
    before = np.repeat(np.cumsum(errors) - errors, counts)
    m = np.arange(1, len(confidence) + 1)
    into = m - np.repeat(ends - counts, counts)
    risk = (before + into * np.repeat(errors / counts, counts)) / m
    cut = np.zeros(len(confidence), bool)
    cut[ends - 1] = True
    return risk, cut


def aurc(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """Return the area under the risk-coverage curve, (1/N) Σ_m r_m (Geifman & El-Yaniv, 2017; a sum, no trapezoids)."""
    return mean(risk_curve(confidence, correct)[0])


def best_aurc(errors: int, n: int) -> float:
    """Return the least AURC of n samples with that many errors: every error after every right answer."""
    m = np.arange(1, n + 1)
    return mean(np.maximum(m - (n - errors), 0) / m)


def coverage_at_risk(confidence: Floats, correct: NDArray[np.bool_], risk: float) -> float:
    """Return the largest share of samples that a threshold on confidence answers with an error rate within `risk`."""
    return _coverage_at(risk, *risk_curve(confidence, correct))


def _coverage_at(risk: float, curve: Floats, cut: NDArray[np.bool_]) -> float:
    good = np.flatnonzero(cut & (curve <= risk + 1e-12))
    return float((good[-1] + 1) / len(curve)) if len(good) else 0.0


def scores(point: Measured) -> dict[str, float]:
    """Return AURC, E-AURC (Geifman et al., 2019) and coverage at each of RISKS, as exited."""
    test = point.test
    curve, cut = risk_curve(test.confidence, test.correct)
    area = mean(curve)
    found = {"aurc": area, "e_aurc": area - best_aurc(int((~test.correct).sum()), len(test.correct))}
    for risk in RISKS:
        found[f"coverage_at_risk@{risk}"] = _coverage_at(risk, curve, cut)
    return found
