"""LAC thresholds besides the pooled one: per exit, per class, and the four of the published JEI-DNN code.

A set contains every class c with 1 - p_c <= q. The kinds differ in whose calibration scores determine q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, Ints
from bench.metrics.conformal import conformal_rank, lac_quantile, within
from bench.metrics.samples import Measured, known

FEW = 20  # `sets_gated` of the JEI-DNN code falls back at or below this many samples


@dataclass(frozen=True)
class Thresholds:
    """q for every group, and which groups use the pooled one because they have too few samples."""

    values: Floats  # [groups]
    pooled: NDArray[np.bool_]  # [groups]


def mondrian(scores: Floats, group: Ints, groups: int, alpha: float) -> Thresholds:
    """Return one quantile per group of the scores [n]; pooled if a group has fewer than 1/alpha of them.

    The quantile over all scores is not a guarantee for such a group, only for all samples together.
    """
    counts, ordered = np.bincount(group, minlength=groups), scores[np.lexsort((scores, group))]
    few = counts * alpha < 1 - 1e-9
    ranks = np.array([conformal_rank(int(n), alpha) for n in counts])
    last = np.cumsum(counts) - counts + ranks - 1
    return Thresholds(np.where(few, lac_quantile(scores, alpha), ordered[np.where(few, 0, last)]), few)


def published_quantile(scores: Floats, alpha: float) -> float:
    """Return the quantile of the JEI-DNN code: the next higher score at level min(1, ceil((n+1)(1-alpha))/n).

    It is the conformal one except for n < 1/alpha - 1, where the largest score replaces infinity; 1 - alpha if n = 0.
    """
    n = len(scores)
    if n == 0:
        return 1.0 - alpha
    place = min(n, conformal_rank(n, alpha)) - 1
    return float(np.partition(scores, place)[place])


def mondrian_exit(point: Measured, alpha: float) -> Thresholds:
    """Return thresholds per exit, of the calibration samples that left there."""
    return mondrian(point.cal.lac, point.cal.exit_index, point.num_exits, alpha)


def mondrian_class(point: Measured, alpha: float) -> Thresholds:
    """Return thresholds per class, of the calibration samples with that label (label-conditional; Vovk et al. 2005)."""
    return mondrian(point.cal.lac, known(point.cal.labels), _num_classes(point), alpha)


def jei_general(point: Measured, alpha: float) -> Thresholds:
    """Return `sets_general`: one quantile of all as-exited scores, the same at every exit."""
    return _none_pooled([published_quantile(point.cal.lac, alpha)] * point.num_exits)


def jei_gated_all(point: Measured, alpha: float) -> Thresholds:
    """Return `sets_gated_all`: per exit, of all calibration samples scored there; no guarantee per exit."""
    return _none_pooled([published_quantile(column, alpha) for column in 1.0 - known(point.cal.exit_p_true).T])


def jei_gated(point: Measured, alpha: float) -> Thresholds:
    """Return `sets_gated`: per exit, of those that left there; `sets_gated_all`'s at or below FEW samples."""
    everyone, left = jei_gated_all(point, alpha), jei_gated_strict(point, alpha)
    few = np.bincount(point.cal.exit_index, minlength=len(left.values)) <= FEW
    return Thresholds(np.where(few, everyone.values, left.values), few)


def jei_gated_strict(point: Measured, alpha: float) -> Thresholds:
    """Return `sets_gated_strict`: per exit, of those that left there, however few."""
    index = point.cal.exit_index
    return _none_pooled([published_quantile(point.cal.lac[index == k], alpha) for k in range(point.num_exits)])


def _num_classes(point: Measured) -> int:
    if point.cal.probabilities is not None:
        return point.cal.probabilities.shape[1]
    return int(max(known(point.cal.labels).max(initial=0), known(point.test.labels).max(initial=0))) + 1


def _none_pooled(values: list[float]) -> Thresholds:
    return Thresholds(np.array(values), np.zeros(len(values), bool))


@dataclass(frozen=True)
class Kind:
    """A way of choosing thresholds: for every exit or for every class, and what it needs."""

    thresholds: Callable[[Measured, float], Thresholds]
    by_class: bool = False
    needs: tuple[str, ...] = ()


KINDS = {
    "mondrian_exit": Kind(mondrian_exit),
    "mondrian_class": Kind(mondrian_class, by_class=True, needs=("labels",)),
    "jei_general": Kind(jei_general),
    "jei_gated_all": Kind(jei_gated_all, needs=("exits",)),
    "jei_gated": Kind(jei_gated, needs=("exits",)),
    "jei_gated_strict": Kind(jei_gated_strict),
}


def hits(point: Measured, kind: Kind, found: Thresholds) -> NDArray[np.bool_]:
    """Return which test samples' sets contain their label [N]."""
    group = known(point.test.labels) if kind.by_class else point.test.exit_index
    return within(point.test.lac, found.values[group])
