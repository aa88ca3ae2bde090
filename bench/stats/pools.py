"""What held-out samples that seeds have in common add to the variance of their mean."""

from __future__ import annotations

FIXED = 0.5  # of the val samples of a seed that another seed has too: both halve one pool
COMMON = {"v2": 0.1}  # each draws its own: a tenth of the official training samples at most


def pool_variance(version: str) -> float:
    """Return the variance that other pools add to a mean over seeds, as a multiple of that between seeds, by protocol.

    If val samples of two seeds have a share c in common, what a seed owes to its val has variance v and, between two
    seeds, covariance c·v. So seeds differ by (1 - c)·v, and their mean keeps c·v however many they are: c / (1 - c)
    times as much. That is 1 for halves of one pool, as another pool differs from it by what its halves differ by.
    """
    common = COMMON.get(version, FIXED)
    return common / (1 - common)
