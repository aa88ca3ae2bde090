"""Across cells: the mean skill of a method, and who wins, ties and loses against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import UserError
from bench.stats.bootstrap import Draws, Estimate, estimates
from bench.stats.marks import INCOMPARABLE, Mark
from bench.stats.resample import Effort
from bench.stats.results import CellStatistics, MethodStatistics

ZONE = 0.005  # of NAUC: within half a point two methods are practically equal
FEW = 5  # cells below which an interval over cells says little


@dataclass(frozen=True)
class Tally:
    """Cells that a method wins, ties and loses against another: NAUC apart by more than ZONE, or not."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Overall:
    """A method over the cells where its grid is complete; `skill` is None unless that is all that count."""

    label: str
    skill: Estimate | None
    cells: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class AcrossStatistics:
    """The cells that count, those left out and why, methods by falling mean skill, and all pairs of methods."""

    cells: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]  # (cell, reason)
    methods: tuple[Overall, ...]
    pairs: dict[tuple[str, str], Tally]  # (method, other), over the cells where both are complete
    note: str


def across(cells: Sequence[CellStatistics], effort: Effort | None = None) -> AcrossStatistics:
    """Average skill over cells and count wins; smoke runs and backbones that have seen the data are left out.

    The interval treats cells as drawn at random: it is that of `bootstrap` with cells in the place of seeds, and holds
    what happens within a cell, since cells differ by that too. A method that lacks a cell has no mean. Raises UserError
    where two cells have one name.
    """
    if len({c.name for c in cells}) < len(cells):
        raise UserError("Two of these cells have the same name; give each dataset, backbone and bank once.")
    found = sorted(cells, key=lambda c: c.name)
    reasons = {c.name: [str(m) for m in c.marks.cell if m.kind in INCOMPARABLE] for c in found}
    kept = [c for c in found if not reasons[c.name]]
    names = tuple(c.name for c in kept)
    labels = sorted({m.label for c in kept for m in c.methods})
    known = {
        label: {c.name: c.method(label) for c in kept if any(m.label == label and m.complete for m in c.methods)}
        for label in labels
    }
    skills = {
        label: [m.curve.skill.value for m in held.values()] for label, held in known.items() if len(held) == len(kept)
    }
    skills = {label: values for label, values in skills.items() if kept and np.isfinite(values).all()}
    means = _means(skills, len(kept), effort or Effort())
    methods = [
        Overall(label, means.get(label), len(known[label]), _marks(len(known[label]), len(kept), label in means))
        for label in labels
    ]
    pairs = {(a, b): _record(known[a], known[b]) for a in labels for b in labels if a != b}
    return AcrossStatistics(
        names,
        tuple((name, reason[0]) for name, reason in reasons.items() if reason),
        tuple(sorted(methods, key=lambda m: (m.skill is None, -m.skill.value if m.skill else 0.0, m.label))),
        pairs,
        _note(len(kept)),
    )


def _means(skills: dict[str, list[float]], count: int, effort: Effort) -> dict[str, Estimate]:
    if not skills:
        return {}
    draws = Draws.make(range(count), effort, "across cells")
    values = np.array(list(skills.values())).T[None]
    return dict(zip(skills, estimates(values, range(count), draws), strict=True))


def _marks(held: int, count: int, averaged: bool) -> tuple[Mark, ...]:
    if held < count:
        return (Mark("not run", "cells", held, count),)
    return () if averaged else (Mark("no oracle", "no skill score in some cell"),)


def _record(mine: dict[str, MethodStatistics], theirs: dict[str, MethodStatistics]) -> Tally:
    gaps = [mine[c].curve.nauc.value - theirs[c].curve.nauc.value for c in mine if c in theirs]
    return Tally(sum(g > ZONE for g in gaps), sum(abs(g) <= ZONE for g in gaps), sum(g < -ZONE for g in gaps))


def _note(count: int) -> str:
    if count < 2:
        return f"{count} cell: no interval over cells." if count else "No cell counts."
    few = (
        f"Only {count} cells: the interval over cells rests on {count - 1} degrees of freedom. " if count < FEW else ""
    )
    return few + "Intervals take cells for a random sample of datasets and backbones; these were chosen by hand."
