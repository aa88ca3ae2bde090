"""Quality of the exits' confidence as a criterion for leaving: misclassification AUROC and EEFP-AUROC."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.metrics.arrays import Floats
from bench.metrics.samples import Column, Measured, Samples, known

TARGETS = ("eefp", "misclass")


def auroc(ranks: Floats, target: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve of scores with mean ranks [N] against a target [N].

    The Mann-Whitney form of sklearn.metrics.roc_auc_score: several targets share one sort. None if all are equal.
    """
    positives = int(target.sum())
    negatives = len(target) - positives
    if not positives or not negatives:
        return None
    above = float(ranks[target].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def may_leave(exit_correct: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return EEFP's target [N, K]: exit k is right, or every later exit is wrong (leaving loses nothing)."""
    wrong_from_here = np.logical_and.accumulate(~exit_correct[:, ::-1], axis=1)[:, ::-1]
    return exit_correct | wrong_from_here


def columns(point: Measured) -> dict[str, Column]:
    """Return per exit the share that arrives, and both AUROCs over all samples and over those that arrive.

    None if a target has one class only, as EEFP's has at the last exit.
    """
    test = point.test
    exits = test.exit_correct.shape[1]
    targets, ranks, of_all = test.once("exit decisions", lambda: _of_all(test))
    arrived = [test.exit_index >= k for k in range(exits)]
    found: dict[str, Column] = {"arrived": [float(rows.mean()) for rows in arrived]}
    for name in targets:
        found[f"{name}_auroc_all"] = list(of_all[name])
        found[f"{name}_auroc_arrived"] = []
    for k, rows in enumerate(arrived):
        own = ranks[k] if rows.all() else rankdata(ranks[k][rows])
        for name, target in targets.items():
            found[f"{name}_auroc_arrived"].append(auroc(own, target[rows, k]))
    return found


def _of_all(test: Samples) -> tuple[dict[str, NDArray[np.bool_]], list[Floats], dict[str, Column]]:
    """Return both targets [N, K], the ranks of the confidence at each exit, K of [N], and the AUROCs of all samples."""
    confidence = known(test.exit_confidence)
    targets = {"eefp": may_leave(test.exit_correct), "misclass": test.exit_correct}
    ranks = [rankdata(column) for column in confidence.T]
    of_all: dict[str, Column] = {
        name: [auroc(r, target[:, k]) for k, r in enumerate(ranks)] for name, target in targets.items()
    }
    return targets, ranks, of_all


def scores(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return averages over the exits before the last, plain and weighted by arriving samples, and `columns`.

    The weighted ones are named `…_weighted`. Exits with an undefined AUROC are left out; an average over no exit is not
    reported.
    """
    made = columns(point)
    shares = made["arrived"][:-1]
    found = {}
    for target in TARGETS:
        for who in ("all", "arrived"):
            values = made[f"{target}_auroc_{who}"][:-1]
            found[f"{target}_auroc_{who}"] = _average(values, [1.0] * len(values))
            found[f"{target}_auroc_{who}_weighted"] = _average(values, shares)
    return {name: value for name, value in found.items() if value is not None}, made


def _average(values: Column, weights: Sequence[float | None]) -> float | None:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None and w]
    total = math.fsum(w for _, w in pairs)
    return math.fsum(v * w for v, w in pairs) / total if total else None
