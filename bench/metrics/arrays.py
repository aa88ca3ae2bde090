"""Softmax, checks and exact sums that all scores share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PART = 1 << 17  # numbers of a table [N, C] that are worked on at once: they stay in the processor's cache


def to_numpy(values: Any) -> NDArray[Any]:
    """Return a NumPy view or copy of a tensor (any device) or array-like."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def softmax(logits: Any, what: str = "logits") -> Floats:
    """Return float64 probabilities of logits [..., C]; all scores use this softmax, and rows are asserted to sum to 1.

    Raises UserError if a logit is NaN or infinite, with `what` and the first such row.
    """
    values = to_numpy(logits).astype(np.float64)
    broken = ~np.isfinite(values).all(axis=-1)
    if broken.any():
        raise UserError(
            f"The {what} contain NaN or infinity in {int(broken.sum())} of {broken.size} rows (first: row "
            f"{int(np.argmax(broken.ravel()))}), so nothing can be scored; finite logits are needed: "
            f"lower the learning rate of the method, or check its policy with 'bench check'."
        )
    values -= values.max(axis=-1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=-1, keepdims=True)
    assert np.allclose(values.sum(axis=-1), 1.0, rtol=0.0, atol=1e-9), "softmax rows must sum to 1"
    return values


def top_and_true(logits: Any, labels: Ints, what: str = "logits") -> tuple[Floats, Floats]:
    """Return the largest probability [N] and the label's [N] of logits [N, C], as `softmax` gives them."""
    values = to_numpy(logits).astype(np.float64)
    if not np.isfinite(values).all():
        softmax(values, what)  # raises, and names the row
    values -= values.max(axis=-1, keepdims=True)
    np.exp(values, out=values)
    total = values.sum(axis=-1)
    return 1.0 / total, values[np.arange(len(values)), labels] / total


def running_sums(values: Floats) -> Floats:
    """Return the running sums along each row [N, C], several times as fast as NumPy's."""
    import torch  # imported here so that reports do not need torch

    return torch.from_numpy(values).cumsum(1).numpy()


def blocks(samples: int, classes: int) -> Iterator[slice]:
    """Yield the rows of consecutive blocks of a table [N, C]."""
    step = max(1, PART // max(1, classes))
    return (slice(start, start + step) for start in range(0, samples, step))


def checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Ints]:
    """Return probabilities [N, C] as float64 and labels [N] as int64; raise UserError if they are not valid."""
    p, y = to_numpy(probabilities).astype(np.float64), to_numpy(labels)
    if p.ndim != 2 or y.shape != p.shape[:1] or p.shape[1] == 0:
        raise UserError(f"Scores need probabilities [N, C] and labels [N], not shapes {p.shape} and {y.shape}.")
    if len(p) == 0:
        raise UserError("There is no sample to score: the split is empty.")
    # float32 rows of many classes sum to 1 only to about 1e-6; rows of logits are off by far more
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(axis=1), 1.0, rtol=0.0, atol=1e-4)):
        raise UserError(
            "These are not probabilities: every row must be finite, non-negative and sum to 1. "
            "Convert logits with bench.metrics.arrays.softmax first."
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise UserError(f"Labels must be in 0 … {p.shape[1] - 1}, not {y.min()} … {y.max()}.")
    return p, y.astype(np.int64)


def mean(values: ArrayLike) -> float:
    """Return the exact mean (`math.fsum`), so that it does not depend on the order of the rows."""
    flat = to_numpy(values).ravel()
    if flat.dtype.kind in "iu":
        return int(flat.sum()) / len(flat)
    return math.fsum(flat.astype(np.float64, copy=False).tolist()) / len(flat)
