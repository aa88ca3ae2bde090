"""The inputs of the scores: per sample of a split, from simulated inference or from storage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from bench.errors import UserError
from bench.inference import Outcomes
from bench.metrics.accuracy import predictions
from bench.metrics.arrays import Floats, Ints, softmax, to_numpy, top_and_true

Column = list[float | None]  # one value per exit; None if there is nothing to measure
ALPHAS = (0.01, 0.05, 0.1)  # tolerated misses of every prediction set


@dataclass(frozen=True)
class Samples:
    """One split of N samples, K exits, C classes; a field is None if old outcomes lack it or it is too large."""

    exit_index: Ints  # [N], from 0
    prediction: Ints  # [N]
    correct: NDArray[np.bool_]  # [N]
    confidence: Floats  # [N], the largest probability, as exited
    p_true: Floats  # [N], the probability of the label, as exited
    labels: Ints | None = None  # [N]
    order: Ints | None = None  # [N]: the order of random numbers, which depends on content alone
    probabilities: Floats | None = None  # [N, C], as exited
    exit_prediction: Ints | None = None  # [N, K]: the prediction of every exit
    exit_confidence: Floats | None = None  # [N, K]
    exit_p_true: Floats | None = None  # [N, K]

    @cached_property
    def exit_correct(self) -> NDArray[np.bool_]:
        """Which exits are right [N, K]."""
        return known(self.exit_prediction) == known(self.labels)[:, None]

    @cached_property
    def lac(self) -> Floats:
        """The LAC score 1 - p_y [N], as exited."""
        return 1.0 - self.p_true

    @cached_property
    def lac_of_all(self) -> Floats:
        """The LAC score 1 - p_c of every class [N, C], as exited."""
        return 1.0 - known(self.probabilities)


@dataclass(frozen=True)
class Measured:
    """One operating point: both splits, its costs and the groups of its classes."""

    cal: Samples
    test: Samples
    full_macs: int  # of the plain backbone
    num_exits: int
    exit_macs: Ints | None = None  # [K] MACs of leaving at each exit, heads and gates on the way included
    train_counts: Ints | None = None  # [C] training samples per class
    alphas: tuple[float, ...] = ALPHAS
    exit_logits: NDArray[Any] | None = None  # [N, K, C] on test; never stored

    @cached_property
    def macs(self) -> Ints:
        """The cost of each test sample [N]."""
        return known(self.exit_macs)[self.test.exit_index]

    def has(self, need: str) -> bool:
        """Return whether the operating point has one of the keys of bench.metrics.families.NEEDS."""
        splits = (self.cal, self.test)
        if need in ("exit_macs", "train_counts", "exit_logits"):
            return getattr(self, need) is not None
        field = "exit_prediction" if need == "exits" else need
        return all(getattr(split, field) is not None for split in splits)


def known(values: NDArray[Any] | None) -> NDArray[Any]:
    """Return an array that a family of scores declared as needed."""
    assert values is not None, "a family of scores lacks what it needs"
    return values


def samples_of(outcomes: Outcomes, split: str) -> Samples:
    """Return the samples of the outcomes of simulated inference on a split, which is named in errors.

    Raises UserError for logits that are not finite and for outcomes of executed inference, which lack the exits not
    taken.
    """
    if outcomes.exit_logits is None:
        raise UserError(
            "Scores need the answers of every exit: run the policy with bench.inference.simulate, not execute."
        )
    labels, stack = to_numpy(outcomes.labels).astype(np.int64), to_numpy(outcomes.exit_logits)
    index, p = to_numpy(outcomes.exit_index).astype(np.int64), softmax(outcomes.logits, f"{split} logits")
    # from the logits: a saturated softmax has no single best class
    predicted, exit_predicted = predictions(outcomes.logits), predictions(stack)
    confidence, p_true = np.empty(stack.shape[:2]), np.empty(stack.shape[:2])
    for k in range(stack.shape[1]):
        confidence[:, k], p_true[:, k] = top_and_true(stack[:, k], labels, f"{split} logits of exit {k}")
    return Samples(
        index,
        predicted,
        predicted == labels,
        p.max(axis=1),
        p[np.arange(len(labels)), labels],
        labels,
        content_order(p, labels, index),
        p,
        exit_predicted,
        confidence,
        p_true,
    )


def content_order(probabilities: Floats, labels: Ints, exit_index: Ints) -> Ints:
    """Return an order of samples [N] by a hash of their probabilities, then label and exit, whatever the row order."""
    hashes = np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in probabilities], np.uint64)
    return np.lexsort((exit_index, labels, hashes))


def measure(
    cal: Outcomes,
    test: Outcomes,
    *,
    exit_macs: Any,
    full_macs: int,
    train_counts: Any = None,
    alphas: tuple[float, ...] = ALPHAS,
) -> Measured:
    """Gather the inputs of one operating point's scores; exit_macs [K]; train_counts [C], or None."""
    on_cal, on_test = samples_of(cal, "cal"), samples_of(test, "test")
    counts = None if train_counts is None else to_numpy(train_counts).astype(np.int64)
    stack = to_numpy(test.exit_logits)
    if len(exit_macs) != stack.shape[1]:
        raise UserError(f"{stack.shape[1]} exits need as many costs, not {len(exit_macs)}.")
    return Measured(on_cal, on_test, full_macs, len(exit_macs), np.asarray(exit_macs, np.int64), counts, alphas, stack)
