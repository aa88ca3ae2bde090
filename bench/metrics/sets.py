"""Every kind of prediction set of one operating point, from calibration to its scores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.metrics import thresholds
from bench.metrics.arrays import Floats, Ints, mean
from bench.metrics.bands import beta_band, beta_binomial_band
from bench.metrics.conditional import class_gaps, coverage, set_sizes
from bench.metrics.conformal import adaptive_sets, class_sizes, lac_quantile, lac_sizes, within
from bench.metrics.samples import Column, Measured, known

ROW_ALPHA = 0.05  # of the sets described exit by exit


def bands(point: Measured) -> dict[str, float]:
    """Return the 95 % bands of a valid pooled set's coverage, for random cal alone, and for random cal and test."""
    found: dict[str, float] = {}
    n_cal, n_test = len(point.cal.correct), len(point.test.correct)
    for alpha in point.alphas:
        both = {"beta": beta_band(n_cal, alpha), "band": beta_binomial_band(n_cal, n_test, alpha)}
        for name, (low, high) in both.items():
            found |= {f"coverage_{name}_low@{alpha}": low, f"coverage_{name}_high@{alpha}": high}
    return found


def _sizes(point: Measured, name: str) -> Ints:
    """Return the sizes of LAC sets, pooled or one of KINDS, for every alpha [alphas, N]."""
    kind = thresholds.KINDS.get(name)
    if kind is not None and kind.by_class:
        return class_sizes(known(point.test.table), np.stack(list(_thresholds(point, name))))
    return point.once("sizes", lambda: _sizes_by_exit(point))[name]


def _sizes_by_exit(point: Measured) -> dict[str, Ints]:
    """Return the sizes of every kind with the same thresholds for all classes, in one pass over the samples."""
    by_exit = {name: kind for name, kind in thresholds.KINDS.items() if not kind.by_class}
    names = ["lac", *(name for name, kind in by_exit.items() if all(map(point.has, kind.needs)))]
    rows = np.concatenate([np.stack(list(_thresholds(point, name))) for name in names])
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    sizes = lac_sizes(known(point.test.table), distinct, point.test.exit_index)
    return dict(zip(names, sizes[which.reshape(len(names), -1)], strict=True))


def _thresholds(point: Measured, name: str) -> Iterator[Floats]:
    """Yield the quantile of every exit, or of every class, for each alpha; one for all if they are pooled."""
    for alpha in point.alphas:
        if name == "lac":
            yield np.full(point.num_exits, _pooled(point, alpha))
        else:
            yield _made(point, name, alpha).values


def _pooled(point: Measured, alpha: float) -> float:
    return point.once(("lac", alpha), lambda: lac_quantile(point.cal.lac, alpha))


def _made(point: Measured, name: str, alpha: float) -> thresholds.Thresholds:
    return point.once((name, alpha), partial(thresholds.KINDS[name].thresholds, point, alpha))


def _hits(point: Measured, name: str, alpha: float) -> NDArray[np.bool_]:
    if name == "lac":
        return within(point.test.lac, _pooled(point, alpha))
    return thresholds.hits(point, thresholds.KINDS[name], _made(point, name, alpha))


def pooled_lac_sizes(point: Measured) -> dict[str, float]:
    """Return the sizes of LAC sets calibrated on all as-exited samples; `lac_coverage` gives their coverage."""
    found: dict[str, float] = {}
    for alpha, sizes in zip(point.alphas, _sizes(point, "lac"), strict=True):
        found |= set_sizes(sizes, f"lac@{alpha}")
    return found


def adaptive(point: Measured, kind: str) -> dict[str, float]:
    """Return coverage, sizes and gaps of APS or RAPS sets calibrated on all as-exited samples."""
    cal, test = point.cal, point.test
    tables = known(cal.table), known(test.table)
    hits, sizes = point.once("adaptive", lambda: adaptive_sets(*tables, point.uniforms, point.alphas))[kind]
    found: dict[str, float] = {}
    for alpha, held, size in zip(point.alphas, hits, sizes, strict=True):
        name = f"{kind}@{alpha}"
        found |= set_sizes(size, name) | coverage(held, test.exit_index, alpha, name)
        found |= class_gaps(held, known(test.labels), alpha, name)
    return found


def lac_coverage(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the coverage of pooled LAC sets from the labels' probabilities alone."""
    found: dict[str, float] = {}
    columns: dict[str, Column] = {}
    for alpha in point.alphas:
        hits = _hits(point, "lac", alpha)
        found |= coverage(hits, point.test.exit_index, alpha, f"lac@{alpha}")
        if alpha == ROW_ALPHA:
            columns[f"coverage_lac@{alpha}"] = _by_exit(point, hits)
    return found, columns


def threshold_coverage(point: Measured, name: str) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the coverage of one of bench.metrics.thresholds.KINDS, and the share that uses a pooled threshold.

    The share is of samples, or of classes if thresholds are by class.
    """
    kind = thresholds.KINDS[name]
    found: dict[str, float] = {}
    columns: dict[str, Column] = {}
    for alpha in point.alphas:
        made, hits = _made(point, name, alpha), _hits(point, name, alpha)
        found |= coverage(hits, point.test.exit_index, alpha, f"{name}@{alpha}")
        if name.startswith("mondrian"):
            pooled = made.pooled if kind.by_class else made.pooled[point.test.exit_index]
            found[f"pooled_share_{name}@{alpha}"] = float(pooled.mean())
        if alpha == ROW_ALPHA and name == "mondrian_exit":
            columns[f"coverage_{name}@{alpha}"] = _by_exit(point, hits)
    return found, columns


def threshold_sizes(point: Measured, name: str) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the sizes of one of bench.metrics.thresholds.KINDS."""
    found: dict[str, float] = {}
    columns: dict[str, Column] = {}
    for alpha, sizes in zip(point.alphas, _sizes(point, name), strict=True):
        found |= set_sizes(sizes, f"{name}@{alpha}")
        if alpha == ROW_ALPHA and name == "mondrian_exit":
            columns[f"set_size_{name}@{alpha}"] = _by_exit(point, sizes)
    return found, columns


def lac_sizes_by_exit(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the mean size of pooled LAC sets on the test samples that left at each exit."""
    if ROW_ALPHA not in point.alphas:
        return {}, {}
    sizes = _sizes(point, "lac")[point.alphas.index(ROW_ALPHA)]
    return {}, {f"set_size_lac@{ROW_ALPHA}": _by_exit(point, sizes)}


def class_gap(point: Measured, name: str) -> dict[str, float]:
    """Return how coverage of LAC sets, pooled or one of KINDS, differs between classes."""
    found: dict[str, float] = {}
    for alpha in point.alphas:
        hits = _hits(point, name, alpha)
        found |= class_gaps(hits, known(point.test.labels), alpha, f"{name}@{alpha}")
    return found


def _by_exit(point: Measured, values: np.ndarray) -> Column:
    index = point.test.exit_index
    parts = (values[index == k] for k in range(point.num_exits))
    return [mean(part) if len(part) else None for part in parts]
