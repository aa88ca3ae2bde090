"""Flags beside numbers: gaps in the grid, infeasible budgets, collapsed policies, settings that are not comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.stats.compare import MIN_SEEDS
from bench.stats.data import CellData, Entry

OTHER_CODE = "made by other code of the same version"
COLLAPSE = 0.95  # a policy has collapsed if one exit takes a larger share than this
Kind = Literal[
    "limit", "seen", "variant", "quality", "few seeds", "no samples", "no static", "no oracle",
    "not run", "failed", "timeout", "infeasible", "collapsed", "note", "tuned", "older", "versions",
    "other code", "published",
]  # fmt: skip
TUNED = {"tuned": "tuned", "defaults": "defaults kept by the search"}  # how bench tune affected the parameters
GAPS: tuple[Kind, ...] = ("not run", "failed", "timeout")  # without these a grid is complete
INCOMPARABLE: tuple[Kind, ...] = ("limit", "seen")  # settings whose numbers do not count beside those of others
LEFT_OUT: tuple[Kind, ...] = (*INCOMPARABLE, "quality")  # settings that are left out of what is averaged over settings


@dataclass(frozen=True)
class Flag:
    """One remark, which concerns `count` of `of` seeds (or points); 0 of 0 if it concerns everything."""

    kind: Kind
    text: str
    count: int = 0
    of: int = 0

    def __str__(self) -> str:
        return self.text if self.count == self.of else f"{self.text} ({self.count}/{self.of})"


@dataclass(frozen=True)
class Flags:
    """All flags of a setting: its own, those of each method, and those of each method's points, by (label, budget)."""

    cell: tuple[Flag, ...]
    methods: dict[str, tuple[Flag, ...]]
    points: dict[tuple[str, float], tuple[Flag, ...]]


def flags(cell: CellData) -> Flags:
    """Return all flags of a setting. Expected are all seeds and all budgets that occur in it."""
    points = {(e.label, b): point_flags(e, b, cell.seeds) for e in cell.methods for b in cell.budgets}
    methods = {e.label: method_flags(e, cell, [points[e.label, b] for b in cell.budgets]) for e in cell.methods}
    return Flags(cell_flags(cell), methods, points)


def cell_flags(cell: CellData) -> tuple[Flag, ...]:
    """Return what concerns every number of the setting."""
    found = []
    if cell.limit is not None:
        found.append(Flag("limit", f"limit {cell.limit}: smoke run, not comparable"))
    if cell.protocol.endswith("-seen"):
        found.append(Flag("seen", f"{cell.protocol}: the backbone has seen the training set"))
    if cell.variant:
        found.append(Flag("variant", f"{cell.variant}: not the official images"))
    if any(p.other_code for entry in (cell.static, cell.oracle) for p in entry.points):
        found.append(Flag("other code", f"references {OTHER_CODE}"))
    seeds = cell.seeds
    if len(seeds) < MIN_SEEDS:
        few = f"{len(seeds)} seeds (fewer than {MIN_SEEDS}): no ranks, no p-values"
        found.append(Flag("few seeds", "1 seed: intervals cover test samples only" if len(seeds) == 1 else few))
    whole = sum(bool(cell.static_at(seed)) for seed in seeds)
    if whole < len(seeds):
        found.append(Flag("no static", "no static exits", len(seeds) - whole, len(seeds)))
    bare = [p for p in cell.measured if not p.sampled]
    if bare:
        found.append(
            Flag("no samples", "no per-sample outcomes: intervals cover seeds only", len(bare), len(cell.measured))
        )
    elif len({len(p.correct) for p in cell.measured if p.correct is not None}) > 1:
        found.append(Flag("no samples", "test sets of different sizes: intervals cover seeds only"))
    return tuple(found)


def point_flags(entry: Entry, budget: float, seeds: Sequence[int]) -> tuple[Flag, ...]:
    """Return the flags of one method at one budget over the seeds that are expected."""
    held = {p.seed: p for p in entry.points if p.budget == budget}
    found = [Flag("not run", "not run", len(seeds) - len(held), len(seeds))]
    statuses: tuple[Kind, ...] = ("infeasible", "failed", "timeout")
    for status in statuses:
        found.append(Flag(status, status, sum(p.status == status for p in held.values()), len(seeds)))
    ok = [p for p in held.values() if p.ok]
    found.append(Flag("collapsed", "collapsed", sum(p.largest_share > COLLAPSE for p in ok), len(ok)))
    for word in sorted({p.note.partition(":")[0] for p in ok if p.note}):
        found.append(Flag("note", word, sum(p.note.partition(":")[0] == word for p in ok), len(ok)))
    return tuple(flag for flag in found if flag.count)


def method_flags(entry: Entry, cell: CellData, points: Sequence[Sequence[Flag]]) -> tuple[Flag, ...]:
    """Return the flags of a method's row: how many of its points are concerned, over all budgets and seeds."""
    found: list[Flag] = []
    total = len(cell.seeds) * len(cell.budgets)
    kinds: tuple[Kind, ...] = (*GAPS, "infeasible", "collapsed")
    for kind in kinds:
        at = [b for b, row in zip(cell.budgets, points, strict=True) if any(m.kind == kind for m in row)]
        count = sum(m.count for row in points for m in row if m.kind == kind)
        if count:
            named = f"budget{'s' * (len(at) > 1)} {', '.join(f'{b:g}' for b in at)}"
            where = "" if len(at) == len(cell.budgets) else f" at {named}"
            found.append(Flag(kind, f"{kind}{where}", count, total))
    for word in sorted({m.text for row in points for m in row if m.kind == "note"}):
        found.append(Flag("note", word, sum(m.count for row in points for m in row if m.text == word), total))
    for what, words in TUNED.items():
        if any(p.tuned == what for p in entry.points):
            found.append(Flag("tuned", words))
    older = sum(p.older for p in entry.points)
    if older:
        found.append(Flag("older", f"{older} older record{'s' * (older > 1)} left out"))
    if len({p.version for p in entry.points if p.ok and p.version}) > 1:
        found.append(Flag("versions", "versions of the code mixed"))
    if other := sum(p.other_code for p in entry.points):
        found.append(Flag("other code", OTHER_CODE, other, len(entry.points)))
    if published := sum(p.published for p in entry.points):
        found.append(Flag("published", "published", published, len(entry.points)))
    return tuple(found)


def whole_seeds(entry: Entry, cell: CellData) -> tuple[int, ...]:
    """Return the seeds at which a method answered every budget of the setting ('infeasible' counts); see GAPS."""
    wanted = set(cell.budgets)
    answered = {
        seed: {p.budget for p in entry.of(seed) if p.status in ("ok", "infeasible")} >= wanted for seed in cell.seeds
    }
    return tuple(seed for seed, all_of_them in answered.items() if all_of_them)
