"""Simultaneous sup-t bands, which contain the whole curve with the probability of the level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.bootstrap import LEVEL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """A curve over costs [B] with its band; `quantile` is the q of ± q·se."""

    at: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    quantile: float

    def wins(self) -> tuple[float, ...]:
        """Return the costs at which the whole band is above 0."""
        return tuple(c for c, low in zip(self.at, self.low, strict=True) if low > 0)

    def losses(self) -> tuple[float, ...]:
        """Return the costs at which the whole band is below 0."""
        return tuple(c for c, high in zip(self.at, self.high, strict=True) if high < 0)


def sup_t(deviation: Array, se: Array, level: float = LEVEL) -> float:
    """Return the `level` quantile over draws d of max_j |deviation[d, j]| / se[j]; 0 if nothing varies."""
    moving = se > 0
    if not moving.any():
        return 0.0
    furthest = (np.abs(deviation[:, moving]) / se[moving]).max(1)
    return float(np.quantile(furthest, level))


def band(at: tuple[float, ...], value: Array, deviation: Array, se: Array, level: float = LEVEL) -> Band:
    """Return the band of a curve [B] from its draws minus estimate [D, B] and standard errors [B]."""
    q = sup_t(deviation, se, level)
    ends = (value - q * se).tolist(), (value + q * se).tolist()
    return Band(at, tuple(value.tolist()), tuple(ends[0]), tuple(ends[1]), q)
