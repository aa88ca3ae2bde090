"""The variance that held-out samples in common add to a mean over seeds."""

from __future__ import annotations

FIXED = 0.5  # share of the val samples of a seed that another seed has too: each takes half of one pool
COMMON = {"v2": 0.1}  # each draws its own: a tenth of the official training samples at most


def pool_variance(version: str) -> float:
    """Return the variance that other pools add to a mean over seeds, as a multiple of that between seeds, by protocol.

    If val samples of two seeds have a share c in common, the effect of val on a seed has variance v and, between two
    seeds, covariance c·v. So the variance between seeds is (1 - c)·v, and their mean keeps c·v however many there are:
    c / (1 - c) times as much. That is 1 for halves of one pool.
    """
    common = COMMON.get(version, FIXED)
    return common / (1 - common)
