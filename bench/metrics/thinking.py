"""Over- and under-thinking: right answers that an earlier or a later exit has, or that were lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.arrays import Ints, mean
from bench.metrics.samples import Measured, known


def scores(point: Measured) -> dict[str, float]:
    """Return shares of all test samples, and the cost of waiting (Kaya et al., 2019, for over-thinking).

    `overthinking_destructive`: some earlier exit is right and the last wrong. `overthinking_wasteful`: mean of max(0,
    C_left - C_first right) / C_last over the samples that some exit gets right, C the MACs of leaving. `underthinking`:
    wrong where it left, right at a later exit. `consistency`: same prediction as the last exit's.
    """
    test, costs, index = point.test, known(point.exit_macs), point.test.exit_index
    lost, some, first, last_right = test.once("thinking", lambda: _of_exits(test.exit_correct))
    waste = np.maximum(costs[index] - costs[first], 0)[some] / costs[-1]
    last = known(test.exit_prediction)[:, -1]
    return {
        "overthinking_destructive": lost,
        "overthinking_wasteful": mean(waste) if some.any() else 0.0,
        "underthinking": float((~test.exit_correct[np.arange(len(index)), index] & (last_right > index)).mean()),
        "consistency": float((test.prediction == last).mean()),
    }


def _of_exits(right: NDArray[np.bool_]) -> tuple[float, NDArray[np.bool_], Ints, Ints]:
    """Return, of exits that are right [N, K], the share lost, whether some is right, the first and the last that is."""
    some, last = np.asarray(right.any(axis=1)), right.shape[1] - 1
    lost = float((right[:, :-1].any(axis=1) & ~right[:, -1]).mean())
    return lost, some, right.argmax(axis=1), np.where(some, last - right[:, ::-1].argmax(axis=1), -1)
