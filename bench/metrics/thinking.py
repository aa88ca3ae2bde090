"""Over- and under-thinking: right answers that an earlier exit had, that were lost, or that a later exit has."""

from __future__ import annotations

import numpy as np

from bench.metrics.arrays import mean
from bench.metrics.samples import Measured, known


def scores(point: Measured) -> dict[str, float]:
    """Return shares of all test samples, and the cost of waiting (Kaya et al., 2019, for over-thinking).

    `overthinking_destructive`: some earlier exit is right and the last wrong. `overthinking_wasteful`: mean of max(0,
    C_left - C_first right) / C_last over the samples that some exit gets right, C the MACs of leaving. `underthinking`:
    wrong where it left, right at a later exit. `consistency`: same prediction as the last exit's.
    """
    test, costs = point.test, known(point.exit_macs)
    right, index = test.exit_correct, test.exit_index
    rows, later = np.arange(len(index)), np.arange(right.shape[1]) > index[:, None]
    some, first = right.any(axis=1), right.argmax(axis=1)
    waste = np.maximum(costs[index] - costs[first], 0)[some] / costs[-1]
    last = known(test.exit_prediction)[:, -1]
    return {
        "overthinking_destructive": float((right[:, :-1].any(axis=1) & ~right[:, -1]).mean()),
        "overthinking_wasteful": mean(waste) if some.any() else 0.0,
        "underthinking": float((~right[rows, index] & (right & later).any(axis=1)).mean()),
        "consistency": float((test.prediction == last).mean()),
    }
