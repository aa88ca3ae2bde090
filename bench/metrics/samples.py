"""The inputs of the scores: per sample of a split, from simulated inference or from storage."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.inference import Outcomes
from bench.metrics.answers import Answers, ClassProbabilities, Value
from bench.metrics.arrays import Floats, Ints, to_numpy
from bench.metrics.calibration import STRATEGIES, Bin, bins_of, by_confidence
from bench.metrics.conformal import Uniforms

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
    table: ClassProbabilities | None = None  # of all classes [N, C], as exited
    exit_prediction: Ints | None = None  # [N, K]: the prediction of every exit
    exit_confidence: Floats | None = None  # [N, K]
    exit_p_true: Floats | None = None  # [N, K]
    answers: Answers | None = None  # of all exits, shared with the other policies on the same heads

    @property
    def probabilities(self) -> Floats | None:
        """The probabilities of all classes [N, C], as exited."""
        return None if self.table is None else self.table.probabilities

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `make()`, computed once for all policies; it must depend on the exits' answers alone."""
        return make() if self.answers is None else self.answers.once(key, make)

    @cached_property
    def exit_correct(self) -> NDArray[np.bool_]:
        """Which exits are right [N, K]."""
        return self.once("exit_correct", lambda: known(self.exit_prediction) == known(self.labels)[:, None])

    @cached_property
    def lac(self) -> Floats:
        """The LAC score 1 - p_y [N], as exited."""
        return 1.0 - self.p_true

    def bins(self, strategy: str) -> list[Bin]:
        """Return the 15 bins of the confidence, as exited, of `bench.metrics.calibration.bins_of`."""
        return self._bins[strategy]

    @cached_property
    def _bins(self) -> dict[str, list[Bin]]:
        rising = by_confidence(self.confidence, self.correct.astype(np.float64))
        return {strategy: bins_of(rising, 15, strategy) for strategy in STRATEGIES}


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

    _cache: dict[Hashable, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `make()` for this operating point, computed by the first call."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    @cached_property
    def macs(self) -> Ints:
        """The cost of each test sample [N]."""
        return known(self.exit_macs)[self.test.exit_index]

    @cached_property
    def uniforms(self) -> Uniforms:
        """The random numbers of APS and RAPS sets, assigned by the samples' content."""
        return Uniforms.dealt(known(self.cal.order), known(self.test.order))

    def has(self, need: str) -> bool:
        """Return whether the operating point has one of the keys of bench.metrics.families.NEEDS."""
        splits = (self.cal, self.test)
        if need in ("exit_macs", "train_counts", "exit_logits"):
            return getattr(self, need) is not None
        field = "exit_prediction" if need == "exits" else need
        return all(getattr(split, field) is not None for split in splits)


def known(values: Value | None) -> Value:
    """Return something that a family of scores declared as needed."""
    assert values is not None, "a family of scores lacks what it needs"
    return values


def samples_of(outcomes: Outcomes, split: str, answers: Answers | None = None) -> Samples:
    """Return the samples of the outcomes of simulated inference on a split; `answers`: those that policies share.

    Raises UserError for logits that are not finite and for outcomes of executed inference, which lack the exits not
    taken.
    """
    if outcomes.exit_logits is None:
        raise UserError(
            "Scores need the answers of every exit: run the policy with bench.inference.simulate, not execute."
        )
    if answers is None:
        labels = to_numpy(outcomes.labels).astype(np.int64)
        answers = Answers(to_numpy(outcomes.exit_logits), labels, split)
    index, rows = to_numpy(outcomes.exit_index).astype(np.int64), np.arange(len(answers.labels))
    table, predicted = answers.as_exited(index), answers.prediction[rows, index]
    return Samples(
        index,
        predicted,
        predicted == answers.labels,
        answers.confidence[rows, index],
        answers.p_true[rows, index],
        answers.labels,
        np.lexsort((index, answers.labels, table.hashes)),
        table,
        answers.prediction,
        answers.confidence,
        answers.p_true,
        answers,
    )


def measure(
    cal: Outcomes,
    test: Outcomes,
    *,
    exit_macs: Any,
    full_macs: int,
    train_counts: Any = None,
    alphas: tuple[float, ...] = ALPHAS,
    answers: tuple[Answers, Answers] | None = None,
) -> Measured:
    """Gather the inputs of one operating point's scores; exit_macs [K]; train_counts [C], or None.

    answers: of all exits on cal and test, if other policies share them.
    """
    on_cal, on_test = (
        samples_of(outcomes, name, shared)
        for outcomes, name, shared in zip((cal, test), ("cal", "test"), answers or (None, None), strict=True)
    )
    counts = None if train_counts is None else to_numpy(train_counts).astype(np.int64)
    stack = to_numpy(test.exit_logits)
    if len(exit_macs) != stack.shape[1]:
        raise UserError(f"{stack.shape[1]} exits need as many costs, not {len(exit_macs)}.")
    return Measured(on_cal, on_test, full_macs, len(exit_macs), np.asarray(exit_macs, np.int64), counts, alphas, stack)
