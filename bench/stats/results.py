"""What `summarise` returns: frozen tables of numbers with their intervals and flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.stats.adherence import Adherence
from bench.stats.bands import Band
from bench.stats.baseline import Baseline
from bench.stats.bootstrap import UNKNOWN, Estimate
from bench.stats.compare import Comparison
from bench.stats.curves import Reference, Window
from bench.stats.data import Split
from bench.stats.flags import Flag
from bench.stats.quality import Check
from bench.stats.ranks import Rank
from bench.stats.resample import BootstrapConfig


@dataclass(frozen=True)
class PointStatistics:
    """One method's own policy for one budget, over the seeds at which it has scores."""

    name: str
    budget: float | None
    accuracy: Estimate
    cost: Estimate
    adherence: Adherence
    depth: tuple[float, ...]  # mean share of samples that leave at each exit
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class BudgetStatistics:
    """One method's own curve at a cost equal to one budget; unknown below its first point."""

    budget: float
    accuracy: Estimate
    gain: Estimate  # over the static hull
    regret: Estimate  # to the oracle
    leading: bool = False  # whether the method may be the best at this budget; see `bench.stats.ranks`


@dataclass(frozen=True)
class IsoCost:
    """The least cost of full accuracy minus `loss`, inf unless all seeds reach it; `reached` of `of` seeds do."""

    loss: float
    cost: Estimate
    reached: int
    of: int
    leading: bool = False  # whether the method may be the cheapest for this loss


@dataclass(frozen=True)
class CurveStatistics:
    """The curves of a method over its seeds; values belong to its own curve unless noted."""

    label: str
    seeds: tuple[int, ...]
    own: Estimate  # own gain: mean over the window of the own curve minus the static hull
    nauc: Estimate  # of the augmented curve, as the next four
    gain: Estimate  # NAUC minus that of the static hull
    hypervolume: Estimate
    hypervolume_share: Estimate
    budgets: tuple[BudgetStatistics, ...]
    iso: tuple[IsoCost, ...]
    band: Band | None  # of accuracy over the budgets
    line: tuple[tuple[float, float], ...]  # (cost, mean accuracy) to draw
    hulls: Mapping[int, tuple[str, ...]]  # the points on each seed's hull, as chosen on cal
    skill: Estimate = UNKNOWN  # own gain as a share of lookahead's, where that is complete


@dataclass(frozen=True)
class MethodStatistics:
    """The statistics of one method of a setting. Rank, comparisons and difference exist for complete grids only."""

    label: str
    name: str
    heads: str | None
    complete: bool
    curve: CurveStatistics
    points: tuple[PointStatistics, ...]
    adherence: Adherence
    flags: tuple[Flag, ...]
    rank: Rank | None = None
    comparison: Comparison | None = None  # of own gains, with the baseline
    against_plain: Comparison | None = None  # of own gains, with plain thresholds
    difference: Band | None = None  # accuracy at budgets minus the baseline's

    @property
    def leading(self) -> bool:
        """Whether it may be the best method of the setting."""
        return self.rank is not None and self.rank.leading


@dataclass(frozen=True)
class CellStatistics:
    """The statistics of one setting; methods by falling own gain, incomplete ones last."""

    name: str
    seeds: tuple[int, ...]
    samples: tuple[int, ...]  # of the test set, from per-sample outcomes
    window: Window
    split: Split  # that decides which points are on a curve
    reference: Reference
    methods: tuple[MethodStatistics, ...]
    static: CurveStatistics | None
    oracle: CurveStatistics | None
    exits: tuple[PointStatistics, ...]
    baseline: Baseline | None
    plain: str | None  # the label of plain thresholds, if their grid is complete
    sure: tuple[tuple[str, str], ...]  # (better, worse) by own gain, all pairs tested simultaneously
    quality: tuple[Check, ...]
    flags: tuple[Flag, ...]  # that concern every number; methods and points have their own
    bootstrap: BootstrapConfig
    pools: float = 0.0  # variance that pools add, as a multiple of that between seeds

    def beats_shared(self, label: str) -> bool:
        """Return whether a method is significantly better than every candidate for the baseline.

        This needs no choice of a baseline, and all pairs of the setting are tested simultaneously.
        """
        rivals = [c for c in (self.baseline.candidates if self.baseline else {}) if c != label]
        return bool(rivals) and all((label, c) in self.sure for c in rivals)

    def method(self, label: str) -> MethodStatistics:
        """Return the statistics of a method by its label."""
        return next(m for m in self.methods if m.label == label)
