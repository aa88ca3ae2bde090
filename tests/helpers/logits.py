"""Made-up logits of three exits and four classes, which are right more often than not."""

from __future__ import annotations

import numpy as np

from bench.bank.logits import About, Logits, SplitLogits

ABOUT = About(
    dataset="made-up",
    backbone="noise",
    image_size=8,
    protocol="v1",
    bank_digest="b" * 32,
    exit_names=("exit 0", "exit 1", "head"),
    class_names=("a", "b", "c", "d"),
    macs=(10, 25, 42),
    full_macs=40,
    heads="native",
    heads_version=1,
    seed=None,
)


def split(samples: int) -> SplitLogits:
    rng = np.random.default_rng(samples)
    labels = np.arange(samples) % 4
    logits = rng.normal(size=(samples, 3, 4)) + 2 * np.eye(4)[labels][:, None]
    return SplitLogits(logits.astype("f2"), labels, np.arange(samples).astype("S8"))


def logits() -> Logits:
    """Logits of 40 samples of the pool and 60 of test."""
    return Logits(ABOUT, split(40), split(60))
