"""Coverage of prediction sets with its interval, their size, and how coverage differs between exits and classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Floats, Ints, mean
from bench.metrics.bands import clopper_pearson

ENOUGH = 100  # test samples that an exit needs for its coverage to count


def group_coverage(hits: NDArray[np.bool_], group: Ints, at_least: int = 1) -> Floats:
    """Return the coverage of every group with at least `at_least` test samples, in order of the groups."""
    counts = np.bincount(group)
    found = counts >= at_least
    return np.bincount(group[hits], minlength=len(counts))[found] / counts[found]


def coverage(hits: NDArray[np.bool_], exit_index: Ints, alpha: float, name: str) -> dict[str, float]:
    """Return coverage, its Clopper–Pearson interval, and the largest gap to 1-alpha of an exit with ENOUGH samples.

    hits [N], exit_index [N]; `name` is the kind and alpha, as in 'lac@0.05'. Without such an exit there is no gap.
    """
    low, high = clopper_pearson(int(hits.sum()), len(hits))
    found = {f"coverage_{name}": float(hits.mean()), f"coverage_low_{name}": low, f"coverage_high_{name}": high}
    per_exit = group_coverage(hits, exit_index, ENOUGH)
    return found | ({f"exit_gap_{name}": float(_gaps(per_exit, alpha).max())} if len(per_exit) else {})


def class_gaps(hits: NDArray[np.bool_], labels: Ints, alpha: float, name: str) -> dict[str, float]:
    """Return the mean and the largest |coverage - (1-alpha)| over the classes that have a test sample."""
    gaps = _gaps(group_coverage(hits, labels), alpha)
    return {f"class_gap_mean_{name}": mean(gaps), f"class_gap_worst_{name}": float(gaps.max())}


def set_sizes(sizes: Ints, name: str) -> dict[str, float]:
    """Return the mean number of classes in a set, and the shares of empty sets and of singletons."""
    return {
        f"set_size_{name}": mean(sizes),
        f"empty_share_{name}": float((sizes == 0).mean()),
        f"singleton_share_{name}": float((sizes == 1).mean()),
    }


def _gaps(found: Floats, alpha: float) -> Floats:
    return np.abs(found - (1.0 - alpha))
