"""Aggregate the records of a setting into one row per operating point: scores per seed, and flags for missing seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.stats.bootstrap import Estimate
from bench.stats.flags import Flag
from bench.stats.results import CellStatistics
from bench.stats.student import interval
from bench.trials.folders import without_paths
from bench.trials.record import Record

REFERENCES = ("static", "hull", "random", "oracle")  # tables show them in this order below the methods


@dataclass(frozen=True)
class Row:
    """One operating point of one method over the seeds of its setting."""

    method: str
    kind: str  # "method" or "reference"
    point: str
    budget: float | None
    exit: int | None  # number of the exit if this is a static exit
    seeds: tuple[int, ...]  # seeds with a result
    expected: tuple[int, ...]  # seeds of the setting
    values: Mapping[str, tuple[float, ...]]  # score: one value per seed, NaN if missing; scores on val start with val_
    flags: tuple[Flag, ...] = ()
    reasons: tuple[str, ...] = field(default=(), compare=False)
    pools: float = 0.0  # variance that pools add, as a multiple of that between seeds

    @property
    def complete(self) -> bool:
        """Return whether every seed of the setting has a result."""
        return bool(self.seeds) and self.seeds == self.expected

    def estimate(self, metric: str) -> Estimate | None:
        """Return the mean of a score with Student's interval over seeds; None unless every seed of the row has it."""
        values = self.values.get(metric, ())
        if not values or any(map(math.isnan, values)):
            return None
        return interval(values, self.seeds, pools=self.pools)


def aggregate(records: Iterable[Record], statistics: CellStatistics) -> list[Row]:
    """Return rows of methods by budget (best accuracy first), then static exits, hull, random exits and oracle.

    records: one per operating point and seed. Every method gets a row for every budget of the setting; it has flags if
    seeds are missing.
    """
    held: dict[tuple[str, str, str], dict[int, Record]] = {}
    budgets: dict[str, float] = {}
    labels: set[str] = set()
    for record in records:
        p = record.point
        held.setdefault((p.kind, p.label, p.point), {})[p.seed] = record
        if p.kind == "method":
            labels.add(p.label)
            if p.budget is not None:
                budgets[p.point] = p.budget
    for label in labels:
        for point in budgets:
            held.setdefault(("method", label, point), {})
    flags = {(m.label, p.budget): p.flags for m in statistics.methods for p in m.points}
    rows = [_row(key, found, budgets, flags, statistics) for key, found in held.items()]
    return sorted(rows, key=_order)


def _row(
    key: tuple[str, str, str],
    found: Mapping[int, Record],
    budgets: Mapping[str, float],
    flags: Mapping[tuple[str, float | None], tuple[Flag, ...]],
    statistics: CellStatistics,
) -> Row:
    kind, label, point = key
    ok = [record for _, record in sorted(found.items()) if record.status == "ok"]
    expected = statistics.seeds
    known = [known for record in found.values() if (known := record.point.budget) is not None]
    budget = budgets.get(point, known[0] if known else None) if kind == "method" else (known[0] if known else None)
    if kind == "method" and budget is not None:
        own = flags.get((label, budget), ())
    else:
        lacking = len(expected) - len(ok)
        own = (Flag("not run", "not run", lacking, len(expected)),) if lacking else ()
    reasons = {without_paths(r.reason) for r in found.values() if r.status != "ok" and r.reason}
    return Row(
        label,
        kind,
        point,
        budget,
        next((record.point.exit for record in found.values()), None),
        tuple(record.point.seed for record in ok),
        expected,
        _scores(ok),
        own,
        tuple(sorted(reasons)),
        statistics.pools,
    )


def _scores(ok: Sequence[Record]) -> dict[str, tuple[float, ...]]:
    found = [r.metrics | {f"val_{k}": v for k, v in r.val.items()} | r.timings for r in ok]
    for scores in found:
        if {"accuracy", "accuracy_random"} <= scores.keys():
            scores["gain_random"] = scores["accuracy"] - scores["accuracy_random"]
    names = sorted({name for scores in found for name in scores})
    return {name: tuple(float(scores.get(name, math.nan)) for scores in found) for name in names}


def _order(row: Row) -> tuple[int, float, bool, float, str, int, str]:
    accuracy = row.estimate("accuracy")
    if row.kind == "method":
        return 0, row.budget or 0.0, accuracy is None, -accuracy.value if accuracy else 0.0, row.method, 0, row.point
    rank = 1 + REFERENCES.index(row.method) if row.method in REFERENCES else len(REFERENCES) + 1
    return rank, row.budget or 0.0, False, 0.0, row.method, row.exit or 0, row.point
