"""The Lagrangian oracle's curve: it knows the labels and upgrades the cheapest samples first.

For λ from infinity to 0, argmin_k 1[wrong at k] + λ·c_k sends a sample to the first exit, or to its first correct exit
once that costs less than 1/λ more. At vertex j of its curve, all samples whose first correct exit is at most j leave
there, and all others at exit 0. Like a static exit, it pays only for the head of the exit that it uses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def first_correct(correct: ArrayLike) -> NDArray[np.bool_]:
    """Return whether exit k is the first correct one, [N, K], from whether each exit is correct, [N, K]."""
    right = np.asarray(correct, bool)
    return right & (right.cumsum(1) == 1)


def vertices(shares: Array, costs: ArrayLike) -> tuple[Array, Array]:
    """Return cost and accuracy [R, K] of the vertices from the shares [R, K] of first correct exits and costs [K].

    costs: of the static exits, ascending.
    """
    extra = np.asarray(costs, float) - np.asarray(costs, float)[0]
    return np.asarray(costs, float)[0] + (shares * extra).cumsum(1), shares.cumsum(1)


def shares_from(accuracy: float, exit_shares: ArrayLike) -> Array:
    """Return the shares [K] of first correct exits from an earliest-correct oracle's accuracy and exit shares [K].

    Samples that no exit gets right leave that oracle at exit 0.
    """
    shares = np.array(exit_shares, float)
    shares[0] = max(accuracy - shares[1:].sum(), 0.0)
    return shares
