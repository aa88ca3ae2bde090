"""Resample the test set: the same indices for all methods, budgets and seeds of one draw."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 250  # draws whose weights are held at once


@dataclass(frozen=True)
class Effort:
    """How much is drawn. Each draw of the test set is used draws / sample_draws times, with other seeds each time."""

    draws: int = 10_000
    sample_draws: int = 2_000
    seed: int = 20_260_101


def generator(effort: Effort, *words: str) -> np.random.Generator:
    """Return the random stream that belongs to these words, the same on every machine and in every run."""
    text = "\0".join([str(effort.seed), *words])
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))


def sample_means(columns: Sequence[NDArray[np.floating]], effort: Effort, test_set: str) -> list[Array]:
    """Return for each table [N, P] of per-sample values its means [R, P] over R resamples of the N samples.

    All tables see the same resamples, which depend on N and on the name of the test set alone. The means are products
    of counts [R, N] with the tables, in their own precision: float32 is exact for 0/1 values, and other values need
    float64, since machines differ in the order in which they sum.
    """
    if not columns:
        return []
    n = len(columns[0])
    if any(len(table) != n for table in columns):
        raise ValueError(f"tables of different test sets: {sorted({len(t) for t in columns})} samples")
    rng = generator(effort, test_set, str(n))
    means = [np.empty((effort.sample_draws, table.shape[1])) for table in columns]
    for start in range(0, effort.sample_draws, BLOCK):
        rows = min(BLOCK, effort.sample_draws - start)
        counts = np.empty((rows, n), np.float32)
        for row in counts:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        for mean, table in zip(means, columns, strict=True):
            mean[start : start + rows] = (counts.astype(table.dtype, copy=False) @ table).astype(np.float64) / n
    return means
