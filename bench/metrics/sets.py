"""Every kind of prediction set of one operating point, from calibration to its scores."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.metrics import thresholds
from bench.metrics.arrays import mean
from bench.metrics.bands import beta_band, beta_binomial_band
from bench.metrics.conditional import class_gaps, coverage, set_sizes
from bench.metrics.conformal import adaptive_sets, lac_quantile, lac_sizes, within
from bench.metrics.samples import Column, Measured, known

ROW_ALPHA = 0.05  # of the sets described exit by exit


def bands(point: Measured) -> dict[str, float]:
    """Return the 95 % bands of a valid pooled set's coverage, by chance of cal alone and of cal and test."""
    found: dict[str, float] = {}
    n_cal, n_test = len(point.cal.correct), len(point.test.correct)
    for alpha in point.alphas:
        both = {"beta": beta_band(n_cal, alpha), "band": beta_binomial_band(n_cal, n_test, alpha)}
        for name, (low, high) in both.items():
            found |= {f"coverage_{name}_low@{alpha}": low, f"coverage_{name}_high@{alpha}": high}
    return found


def pooled_lac_sizes(point: Measured) -> dict[str, float]:
    """Return the sizes of LAC sets calibrated on all as-exited samples; `lac_coverage` gives their coverage."""
    found: dict[str, float] = {}
    for alpha in point.alphas:
        found |= set_sizes(lac_sizes(known(point.test.table), lac_quantile(point.cal.lac, alpha)), f"lac@{alpha}")
    return found


def adaptive(point: Measured, kind: str) -> dict[str, float]:
    """Return coverage, sizes and gaps of APS or RAPS sets calibrated on all as-exited samples."""
    cal, test = point.cal, point.test
    tables = known(cal.table), known(test.table)
    hits, sizes = adaptive_sets(*tables, point.uniforms, point.alphas, kind == "raps")
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
        hits = within(point.test.lac, lac_quantile(point.cal.lac, alpha))
        found |= coverage(hits, point.test.exit_index, alpha, f"lac@{alpha}")
        if alpha == ROW_ALPHA:
            columns[f"coverage_lac@{alpha}"] = _by_exit(point, hits)
    return found, columns


def threshold_coverage(point: Measured, name: str) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the coverage of one of bench.metrics.thresholds.KINDS; and the share that uses a pooled threshold.

    The share is of samples, or of classes if thresholds are by class.
    """
    kind = thresholds.KINDS[name]
    found: dict[str, float] = {}
    columns: dict[str, Column] = {}
    for alpha in point.alphas:
        made = point.once((name, alpha), partial(kind.thresholds, point, alpha))
        hits = thresholds.hits(point, kind, made)
        found |= coverage(hits, point.test.exit_index, alpha, f"{name}@{alpha}")
        if name.startswith("mondrian"):
            pooled = made.pooled if kind.by_class else made.pooled[point.test.exit_index]
            found[f"pooled_share_{name}@{alpha}"] = float(pooled.mean())
        if alpha == ROW_ALPHA and name == "mondrian_exit":
            columns[f"coverage_{name}@{alpha}"] = _by_exit(point, hits)
    return found, columns


def threshold_sizes(point: Measured, name: str) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the sizes of one of bench.metrics.thresholds.KINDS."""
    kind = thresholds.KINDS[name]
    found: dict[str, float] = {}
    columns: dict[str, Column] = {}
    for alpha in point.alphas:
        sizes = thresholds.sizes(point, kind, point.once((name, alpha), partial(kind.thresholds, point, alpha)))
        found |= set_sizes(sizes, f"{name}@{alpha}")
        if alpha == ROW_ALPHA and name == "mondrian_exit":
            columns[f"set_size_{name}@{alpha}"] = _by_exit(point, sizes)
    return found, columns


def lac_sizes_by_exit(point: Measured) -> tuple[dict[str, float], dict[str, Column]]:
    """Return the mean size of pooled LAC sets on the test samples that left at each exit."""
    q = lac_quantile(point.cal.lac, ROW_ALPHA)
    sizes = lac_sizes(known(point.test.table), q)
    return {}, {f"set_size_lac@{ROW_ALPHA}": _by_exit(point, sizes)}


def class_gap(point: Measured, name: str) -> dict[str, float]:
    """Return how coverage of LAC sets, pooled or one of KINDS, differs between classes."""
    found: dict[str, float] = {}
    for alpha in point.alphas:
        if name == "lac":
            hits = within(point.test.lac, lac_quantile(point.cal.lac, alpha))
        else:
            kind = thresholds.KINDS[name]
            hits = thresholds.hits(point, kind, point.once((name, alpha), partial(kind.thresholds, point, alpha)))
        found |= class_gaps(hits, known(point.test.labels), alpha, f"{name}@{alpha}")
    return found


def _by_exit(point: Measured, values: np.ndarray) -> Column:
    index = point.test.exit_index
    parts = (values[index == k] for k in range(point.num_exits))
    return [mean(part) if len(part) else None for part in parts]
