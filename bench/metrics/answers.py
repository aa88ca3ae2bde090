"""The answers of all exits of one set of heads on a split, and what follows from them alone, computed once.

Policies on the same heads share one `Answers`: a policy only selects which exit answers for a sample. Axes: N samples,
K exits, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from bench.metrics.accuracy import predictions
from bench.metrics.arrays import Floats, Ints, blocks, running_sums, softmax, top_and_true

Value = TypeVar("Value")
LARGEST = 30_000_000  # N·K·C above which tables of all exits (two, of 8 bytes a number) are not kept


@dataclass(frozen=True, eq=False)
class Answers:
    """The logits [N, K, C] of all exits on a split, its labels [N], and its name for error messages.

    shared: several policies use them, so that tables of all exits are worth keeping.
    """

    logits: NDArray[Any]
    labels: Ints
    split: str = "test"
    shared: bool = False
    _cache: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def table(self) -> ClassProbabilities | None:
        """The table of all exits, exit after exit: [K·N, C]; None unless shared, or if it is too large to keep."""
        if not self.shared or self.logits.size > LARGEST:
            return None
        stack = np.swapaxes(self.logits, 0, 1).reshape(-1, self.logits.shape[-1])
        return ClassProbabilities(softmax(stack, f"{self.split} logits"), np.tile(self.labels, self.logits.shape[1]))

    @cached_property
    def _columns(self) -> tuple[Floats, Floats]:
        n, exits = self.logits.shape[:2]
        if self.table is not None:
            return self.table.confidence.reshape(exits, n).T, self.table.p_true.reshape(exits, n).T
        confidence, p_true = np.empty((n, exits)), np.empty((n, exits))
        for k in range(exits):
            confidence[:, k], p_true[:, k] = top_and_true(
                self.logits[:, k], self.labels, f"{self.split} logits of exit {k}"
            )
        return confidence, p_true

    @cached_property
    def prediction(self) -> Ints:
        """The predicted class [N, K], from the logits: a saturated softmax has no unique best class."""
        return predictions(self.logits)

    @property
    def confidence(self) -> Floats:
        """The largest probability [N, K]."""
        return self._columns[0]

    @property
    def p_true(self) -> Floats:
        """The probability of the label [N, K]."""
        return self._columns[1]

    def as_exited(self, exit_index: Ints) -> ClassProbabilities:
        """Return the table [N, C] of what samples left with, from exits [N]."""
        n = len(exit_index)
        if self.table is not None:
            return ProbabilityRows(self.table, exit_index * n + np.arange(n))
        return ClassProbabilities(softmax(self.logits[np.arange(n), exit_index], f"{self.split} logits"), self.labels)

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `make()`, computed by the first call; it must depend on these answers alone."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]


class ClassProbabilities:
    """The probabilities [N, C] of all classes, and values that follow from them, computed on first access."""

    def __init__(self, probabilities: Floats, labels: Ints) -> None:
        self.probabilities, self.labels = probabilities, labels

    def part(self, rows: slice) -> Floats:
        """Return the probabilities of some rows [B, C]."""
        return self.probabilities[rows]

    def falling(self, rows: slice | Ints) -> Floats:
        """Return the probabilities of some rows [B, C], sorted from the largest down."""
        return self._falling[rows]

    @property
    def classes(self) -> int:
        """C."""
        return self.probabilities.shape[1]

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """A hash of every row [N]."""
        return np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in self.probabilities], np.uint64)

    @cached_property
    def confidence(self) -> Floats:
        """The largest probability [N]."""
        return self.probabilities.max(axis=1)

    @cached_property
    def p_true(self) -> Floats:
        """The probability of the label [N]."""
        return self.probabilities[np.arange(len(self.labels)), self.labels]

    @cached_property
    def brier(self) -> Floats:
        """Σ_c (p_c - 1[c = y])² [N]."""
        squares = [np.square(self.part(rows)).sum(axis=1) for rows in blocks(len(self.labels), self.classes)]
        others = np.concatenate(squares) - np.square(self.p_true)
        return np.maximum(others, 0.0) + np.square(1.0 - self.p_true)

    @cached_property
    def rank(self) -> Ints:
        """The rank of the label among the classes from the most probable down [N], from 0."""
        rank = np.empty(len(self.labels), np.int64)
        for rows in blocks(*self.probabilities.shape):
            p, own, label = self.probabilities[rows], self.p_true[rows, None], self.labels[rows, None]
            rank[rows] = np.count_nonzero(p > own, axis=1)
            tied = np.flatnonzero(np.count_nonzero(p == own, axis=1) > 1)
            order = np.flip(np.argsort(p[tied], axis=1), axis=1)
            rank[rows][tied] = np.argmax(order == label[tied], axis=1)
        return rank

    @cached_property
    def down_to_label(self) -> Floats:
        """The sum of the probabilities from the largest down to the label's [N]."""
        found = np.empty(len(self.labels))
        for rows in blocks(*self.probabilities.shape):
            summed = running_sums(self.falling(rows))
            found[rows] = np.take_along_axis(summed, self.rank[rows, None], axis=1)[:, 0]
        return found

    @cached_property
    def _falling(self) -> Floats:
        found = self.probabilities.copy()
        found.sort(axis=1)
        for rows in blocks(*found.shape):
            found[rows] = found[rows, ::-1].copy()
        return found


def _of_rows(name: str) -> Any:
    return cached_property(lambda self: getattr(self.table, name)[self.rows])


class ProbabilityRows(ClassProbabilities):
    """Some rows [N] of a larger table; its columns are gathered on first access."""

    def __init__(self, table: ClassProbabilities, rows: Ints) -> None:
        self.table, self.rows = table, rows

    labels = _of_rows("labels")
    probabilities = _of_rows("probabilities")
    hashes = _of_rows("hashes")
    confidence = _of_rows("confidence")
    p_true = _of_rows("p_true")
    brier = _of_rows("brier")
    rank = _of_rows("rank")
    down_to_label = _of_rows("down_to_label")

    @property
    def classes(self) -> int:
        """C."""
        return self.table.classes

    def part(self, rows: slice) -> Floats:
        """Return the probabilities of some rows [B, C]."""
        return self.table.probabilities.take(self.rows[rows], axis=0)

    def falling(self, rows: slice | Ints) -> Floats:
        """Return the probabilities of some rows [B, C], sorted from the largest down."""
        return self.table._falling.take(self.rows[rows], axis=0)
