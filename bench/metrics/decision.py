"""Quality of the exits' confidence as a criterion for leaving: misclassification AUROC and EEFP-AUROC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, Ints
from bench.metrics.samples import Column, Measured, Samples, known

TARGETS = ("eefp", "misclass")


@dataclass(frozen=True)
class Ranking:
    """An order of N samples from the lowest score up, and where in it each group of equal scores begins."""

    order: Ints
    starts: Ints

    @classmethod
    def of(cls, score: Floats) -> Ranking:
        """Rank scores [N]."""
        order = np.argsort(score)
        rising = score[order]
        return cls(order, np.flatnonzero(np.append(True, rising[1:] != rising[:-1])))


def auroc(ranking: Ranking, target: NDArray[np.bool_], among: NDArray[np.bool_] | None = None) -> float | None:
    """Return the area under the ROC curve of ranked scores against a target [N], of all samples or of some [N].

    The Mann-Whitney form of sklearn.metrics.roc_auc_score: several targets and subsets share one sort. None if the
    target is the same for all.
    """
    chosen = np.ones(len(target), bool) if among is None else among
    held = np.stack([chosen & target, chosen])[:, ranking.order].astype(np.int64)
    positive, count = held if len(ranking.starts) == len(target) else np.add.reduceat(held, ranking.starts, axis=1)
    positives, total = int(positive.sum()), int(count.sum())
    if positives in (0, total):
        return None
    doubled = 2 * np.cumsum(count) - count + 1  # ranks, twice: equal scores share the mean of theirs
    twice_ranks = int((positive * doubled).sum())
    above = twice_ranks / 2 - positives * (positives + 1) / 2
    return above / (positives * (total - positives))


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
    targets, rankings, of_all = test.once("exit decisions", lambda: _of_all(test))
    arrived = [test.exit_index >= k for k in range(exits)]
    found: dict[str, Column] = {"arrived": [float(rows.mean()) for rows in arrived]}
    for name in targets:
        found[f"{name}_auroc_all"] = list(of_all[name])
        found[f"{name}_auroc_arrived"] = []
    for k, rows in enumerate(arrived):
        for name, target in targets.items():
            own = of_all[name][k] if rows.all() else auroc(rankings[k], target[:, k], rows)
            found[f"{name}_auroc_arrived"].append(own)
    return found


def _of_all(test: Samples) -> tuple[dict[str, NDArray[np.bool_]], list[Ranking], dict[str, Column]]:
    """Return both targets [N, K], the ranking of the confidence at each exit, and the AUROCs of all samples."""
    targets = {"eefp": may_leave(test.exit_correct), "misclass": test.exit_correct}
    rankings = [Ranking.of(column) for column in known(test.exit_confidence).T]
    of_all: dict[str, Column] = {
        name: [auroc(ranking, target[:, k]) for k, ranking in enumerate(rankings)] for name, target in targets.items()
    }
    return targets, rankings, of_all


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
