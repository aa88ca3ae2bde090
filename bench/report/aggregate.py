"""From the records of a cell to one row per operating point: means, 95 % intervals over seeds, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from bench.report.cells import Cell, without_paths
from bench.stats.bootstrap import Estimate
from bench.stats.student import interval

COLLAPSE = 0.95  # one exit that takes a larger share than this has swallowed the policy
REFERENCES = ("static", "hull", "random", "oracle")  # in this order below the methods


@dataclass(frozen=True)
class Row:
    """One operating point of one method over the seeds of its cell."""

    method: str
    kind: str  # "method" or "reference"
    point: str
    budget: float | None
    seeds: tuple[int, ...]  # those with a result
    expected: tuple[int, ...]
    scores: pd.DataFrame  # one row per seed, in order; columns are metrics
    flags: tuple[str, ...] = ()
    infeasible: int = 0  # seeds that cannot meet the budget: an answer, not a gap
    reasons: tuple[str, ...] = field(default=(), compare=False)

    @property
    def complete(self) -> bool:
        """Whether every seed of the cell has a result."""
        return bool(self.seeds) and self.seeds == self.expected

    def estimate(self, metric: str) -> Estimate | None:
        """Mean and interval of a metric, None unless every seed of the row has it."""
        if metric not in self.scores or not len(self.scores) or self.scores[metric].isna().any():
            return None
        return interval(self.scores[metric], self.seeds)


def aggregate(cell: Cell) -> list[Row]:
    """Return methods by budget (best accuracy first), then static exits, hull and random by budget, and the oracle.

    The expected seeds are all that occur in the cell, the expected budgets of a method all that any method of the cell
    has; what lacks is a row or a flag of its own. Of several records of one operating point and seed (two versions of a
    method) only the newest counts, and the row says so.
    """
    records = cell.records
    seeds = tuple(sorted({int(s) for s in records["seed"]}))
    methods = records[records["kind"] == "method"]
    budgets = {str(p): float(b) for p, b in zip(methods["point"], methods["budget"], strict=True) if not math.isnan(b)}
    rows = []
    for name in sorted(set(methods["method"])):
        mine = methods[methods["method"] == name]
        for point in sorted({*budgets, *mine["point"].astype(str)}):
            rows.append(_row(cell, mine[mine["point"] == point], name, "method", point, budgets.get(point), seeds))
    references = records[records["kind"] == "reference"]
    for name, point in sorted({(m, p) for m, p in zip(references["method"], references["point"], strict=True)}):
        mine = references[(references["method"] == name) & (references["point"] == point)]
        budget = mine["budget"].iloc[0]
        rows.append(_row(cell, mine, name, "reference", point, None if pd.isna(budget) else float(budget), seeds))
    return sorted(rows, key=_order)


def random_play(rows: Iterable[Row]) -> list[Row]:
    """Return a reference row per method and budget: its exit shares dealt to random samples, the expected accuracy."""
    columns = {"accuracy": "accuracy_random", "macs": "macs", "macs_fraction": "macs_fraction"}
    dealt = [
        Row(
            f"random, shares of {row.method}",
            "reference",
            row.point,
            row.budget,
            row.seeds,
            row.expected,
            pd.DataFrame({name: row.scores[source] for name, source in columns.items()}),
        )
        for row in rows
        if row.kind == "method" and "accuracy_random" in row.scores
    ]
    return sorted(dealt, key=lambda row: (row.method, row.budget or 0.0))


def _row(
    cell: Cell,
    records: pd.DataFrame,
    method: str,
    kind: str,
    point: str,
    budget: float | None,
    expected: tuple[int, ...],
) -> Row:
    kept, old = _newest(records)
    ok = kept[kept["status"] == "ok"].sort_values("seed", kind="stable")
    scores = ok.select_dtypes("number").reset_index(drop=True)
    if {"accuracy", "accuracy_random"} <= set(scores):
        scores = scores.assign(gain_random=scores["accuracy"] - scores["accuracy_random"])
    seeds = tuple(int(s) for s in ok["seed"])
    others = [str(s) for s in kept.loc[kept["status"] != "ok", "status"]]
    flags = [f"incomplete {len(seeds)}/{len(expected)} seeds"] if seeds and seeds != expected else []
    absent = len(expected) - len(kept)
    for status in sorted(set(others)):
        whole = others.count(status) == len(expected)
        flags.append(status if whole else f"{status} {others.count(status)}/{len(expected)}")
    if absent:
        flags.append("not run" if absent == len(expected) else f"not run {absent}/{len(expected)}")
    if kind == "method" and len(scores) and "collapsed" in scores and scores["collapsed"].mean() > COLLAPSE:
        flags.append("collapsed")
    flags += _notes(ok)
    if old:
        flags.append(f"{old} older record{'s' * (old > 1)} left out")
    if "source_digest" in ok and len(set(ok["source_digest"])) > 1:
        flags.append("versions of the code mixed")
    reasons = (
        sorted({without_paths(str(r)) for r in kept.loc[kept["status"] != "ok", "reason"].dropna()})
        if "reason" in kept
        else []
    )
    return Row(
        method,
        kind,
        point,
        budget,
        seeds,
        expected,
        scores,
        (*flags, *cell.flags),
        others.count("infeasible"),
        tuple(reasons),
    )


def _notes(ok: pd.DataFrame) -> list[str]:
    """Return what methods say of their own limits, one word each, with the share of seeds where not all say so."""
    words = [str(n).partition(":")[0] for n in ok["note"] if n] if "note" in ok else []
    return [w if words.count(w) == len(ok) else f"{w} {words.count(w)}/{len(ok)}" for w in sorted(set(words))]


def _newest(records: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep the newest record of each seed; return also how many were left out."""
    order = [name for name in ("created", "id") if name in records]
    kept = records.sort_values(order, kind="stable").drop_duplicates("seed", keep="last")
    return kept, len(records) - len(kept)


def _order(row: Row) -> tuple[int, float, bool, float, str, int, str]:
    accuracy = row.estimate("accuracy")
    if row.kind == "method":
        return 0, row.budget or 0.0, accuracy is None, -accuracy.value if accuracy else 0.0, row.method, 0, row.point
    rank = 1 + REFERENCES.index(row.method) if row.method in REFERENCES else len(REFERENCES) + 1
    exit_number = int(row.point.removeprefix("exit=")) if row.point.startswith("exit=") else 0
    return rank, row.budget or 0.0, False, 0.0, row.method, exit_number, row.point


def leaders(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """Say per budget who leads in accuracy: {(method, point): "best" or "tie"}; nobody where it cannot be said.

    Only rows with every seed compete. The highest mean is "best" if its seed-by-seed difference to every competitor has
    a 95 % t interval (no correction for several competitors) above 0; else it and all it does not beat are a "tie".
    One seed says nothing, nor does a method without competitors.
    """
    field_of: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "method" and row.complete and row.estimate("accuracy"):
            field_of.setdefault(row.point, []).append(row)
    marks: dict[tuple[str, str], str] = {}
    for point, field_ in field_of.items():
        if len(field_) < 2 or len(field_[0].seeds) < 2:
            continue
        top = max(field_, key=lambda row: (row.scores["accuracy"].mean(), row.method))
        tied = [row for row in field_ if row is not top and not _beats(top, row)]
        marks |= {(row.method, point): "tie" for row in tied}
        marks[(top.method, point)] = "tie" if tied else "best"
    return marks


def _beats(a: Row, b: Row) -> bool:
    difference = interval(a.scores["accuracy"] - b.scores["accuracy"])
    return difference.low > 0
