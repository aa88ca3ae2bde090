"""The data that the statistics of one setting are computed from: operating points with per-sample outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from numpy.typing import NDArray

from bench.stats.pools import pool_variance

Status = Literal["ok", "infeasible", "failed", "timeout"]
Split = Literal["cal", "val"]


@dataclass(frozen=True)
class OperatingPoint:
    """One operating point at one seed. Costs are fractions of the plain backbone's MACs, heads and gates counted."""

    name: str  # 'budget=0.5', 'exit=3' or 'oracle'
    seed: int
    status: Status
    budget: float | None = None
    val_accuracy: float = float("nan")
    val_cost: float = float("nan")
    cal_accuracy: float = float("nan")
    cal_cost: float = float("nan")
    accuracy: float = float("nan")
    cost: float = float("nan")
    shares: tuple[float, ...] = ()  # [K] of samples that left at each exit
    exit_costs: tuple[float, ...] = ()  # [K], cumulative
    exit_accuracy: tuple[float, ...] = ()  # [K] of each exit on all test samples
    correct: NDArray[Any] | None = None  # [N] bool
    exit_index: NDArray[Any] | None = None  # [N] int
    note: str = ""
    reason: str = ""
    tuned: str = ""  # 'tuned' or 'defaults' where a search decided the parameters
    version: str = ""  # of the method and its heads
    other_code: bool = False  # made by other code of the same version
    older: int = 0  # records of the same point and seed that this one replaced
    published: bool = False  # read from a published store beside the user's own

    @property
    def ok(self) -> bool:
        """Whether the point has scores."""
        return self.status == "ok"

    def on(self, split: Split) -> tuple[float, float]:
        """Return cost and accuracy on a split other than test, NaN where the record does not have them."""
        return (self.cal_cost, self.cal_accuracy) if split == "cal" else (self.val_cost, self.val_accuracy)

    @property
    def sampled(self) -> bool:
        """Whether the point has per-sample outcomes."""
        return self.correct is not None and self.exit_index is not None

    @property
    def largest_share(self) -> float:
        """The share of the exit that takes most samples, NaN where shares are unknown."""
        return max(self.shares, default=float("nan"))


@dataclass(frozen=True)
class Entry:
    """One method, or one reference, with all its operating points; `heads` is the head recipe that it declares."""

    label: str
    points: tuple[OperatingPoint, ...]
    name: str = ""
    heads: str | None = None

    def sorted(self) -> Entry:
        """Return the entry with its points sorted by name and seed."""
        return replace(self, points=tuple(sorted(self.points, key=lambda p: (p.name, p.seed))))

    def of(self, seed: int) -> tuple[OperatingPoint, ...]:
        """Return all points of a seed."""
        return tuple(p for p in self.points if p.seed == seed)


@dataclass(frozen=True)
class CellData:
    """One dataset through one frozen backbone under one protocol: methods, static exits and the oracle."""

    name: str
    methods: tuple[Entry, ...]  # by label
    static: Entry  # one point per exit; no points where none were run
    oracle: Entry
    num_exits: int
    variant: str | None = None
    protocol: str = "v1"
    limit: int | None = None
    test_set: str = ""  # equal for settings that share their test samples

    @property
    def pools(self) -> float:
        """The variance that other pools would add to means over seeds, as a multiple of that between seeds."""
        return pool_variance(self.protocol)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that occur."""
        return tuple(sorted({p.seed for e in (*self.methods, self.static, self.oracle) for p in e.points}))

    @cached_property
    def budgets(self) -> tuple[float, ...]:
        """All budgets that any method of the setting was asked for, ascending."""
        return tuple(sorted({p.budget for e in self.methods for p in e.points if p.budget is not None}))

    @cached_property
    def measured(self) -> tuple[OperatingPoint, ...]:
        """The points with scores of methods and static exits."""
        return tuple(p for e in (*self.methods, self.static) for p in e.points if p.ok)

    @cached_property
    def choosing(self) -> Split:
        """The split that decides which points are on a frontier, and which rule is the baseline: cal.

        No rule is fitted on cal and nothing is reported on it. Val would favour the rules that fit it most closely; it
        is used only if some record has no scores on cal.
        """
        known = all(math.isfinite(value) for p in self.measured for value in p.on("cal"))
        return "cal" if known else "val"

    def sorted(self) -> CellData:
        """Return the data with methods sorted by label and points by name and seed: sums depend on their order."""
        methods = sorted((e.sorted() for e in self.methods), key=lambda e: e.label)
        return replace(self, methods=tuple(methods), static=self.static.sorted(), oracle=self.oracle.sorted())

    def static_at(self, seed: int) -> tuple[OperatingPoint, ...]:
        """Return the static exits of a seed, cheapest first; none unless all of them have scores."""
        points = [p for p in self.static.of(seed) if p.ok]
        complete = len({p.name for p in points}) == self.num_exits
        return tuple(sorted(points, key=lambda p: (p.cost, p.name))) if complete else ()
