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
class BootstrapConfig:
    """Numbers of draws. Each draw of the test set is used draws / sample_draws times, each time with other seeds."""

    draws: int = 10_000
    sample_draws: int = 2_000
    seed: int = 20_260_101


def generator(bootstrap: BootstrapConfig, *words: str) -> np.random.Generator:
    """Return the random generator that belongs to these words, the same on every machine and in every run."""
    text = "\0".join([str(bootstrap.seed), *words])
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))


def exact(values: Array) -> NDArray[np.float32]:
    """Centre values [N] and round them so that float32 sums of any N of them are exact.

    They become multiples of a power of two: of 1/2048 for 10,000 costs in [0, 1], which changes a mean over a resample
    by a few millionths.
    """
    centred = values - values.mean()
    largest = float(np.abs(centred).max(initial=0.0))
    if largest == 0:
        return np.zeros(len(values), np.float32)
    scale = 2.0 ** np.floor(np.log2((2**24 / len(values) - 0.5) / largest))  # N multiples stay within 24 bits
    return np.asarray(np.rint(centred * scale) / scale, np.float32)


def sample_means(columns: Sequence[NDArray[np.float32]], bootstrap: BootstrapConfig, test_set: str) -> list[Array]:
    """Return for each table [N, P] of per-sample values its means [R, P] over R resamples of the N samples.

    All tables see the same resamples, which depend on N and on the name of the test set alone. The means are products
    of counts [R, N] with the tables: exact for 0/1 values and for those that `exact` gives, hence the same bytes
    whatever the threads and the order of a sum.
    """
    if not columns:
        return []
    n = len(columns[0])
    if any(len(table) != n for table in columns):
        raise ValueError(f"tables of different test sets: {sorted({len(t) for t in columns})} samples")
    rng = generator(bootstrap, test_set, str(n))
    means = [np.empty((bootstrap.sample_draws, table.shape[1])) for table in columns]
    for start in range(0, bootstrap.sample_draws, BLOCK):
        rows = min(BLOCK, bootstrap.sample_draws - start)
        counts = np.empty((rows, n), np.float32)
        for row in counts:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        for mean, table in zip(means, columns, strict=True):
            mean[start : start + rows] = (counts @ table).astype(np.float64) / n
    return means
