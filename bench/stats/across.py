"""Across settings: the mean skill of a method, and who wins, ties and loses against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import UserError
from bench.stats.bootstrap import Draws, Estimate, estimates
from bench.stats.flags import INCOMPARABLE, Flag
from bench.stats.resample import BootstrapConfig
from bench.stats.results import CellStatistics, MethodStatistics

ZONE = 0.005  # of NAUC: within half a point two methods are practically equal
FEW = 5  # settings below which an interval over settings says little


@dataclass(frozen=True)
class Tally:
    """Settings that a method wins, ties and loses against another: NAUC apart by more than ZONE, or not."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Overall:
    """A method over the settings where its grid is complete; `skill` is None unless that is all that count."""

    label: str
    skill: Estimate | None
    cells: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class AcrossStatistics:
    """The settings that count, those left out and why, methods by falling mean skill, and all pairs of methods."""

    cells: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]  # (cell, reason)
    methods: tuple[Overall, ...]
    pairs: dict[tuple[str, str], Tally]  # (method, other), over the settings where both are complete
    note: str


def across(cells: Sequence[CellStatistics], bootstrap: BootstrapConfig | None = None) -> AcrossStatistics:
    """Average skill over settings and count wins; smoke runs and backbones that have seen the data are left out.

    The interval treats settings as drawn at random: it is that of `bootstrap` with settings in the place of seeds. It
    includes the variance within a setting, since settings differ by that too. A method that lacks a setting has no
    mean. Raises UserError if two settings have the same name.
    """
    if len({c.name for c in cells}) < len(cells):
        raise UserError("Two of these settings have the same name; give each dataset, backbone and bank once.")
    found = sorted(cells, key=lambda c: c.name)
    reasons = {c.name: [str(m) for m in c.flags if m.kind in INCOMPARABLE] for c in found}
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
    means = _means(skills, len(kept), bootstrap or BootstrapConfig())
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


def _means(skills: dict[str, list[float]], count: int, bootstrap: BootstrapConfig) -> dict[str, Estimate]:
    if not skills:
        return {}
    draws = Draws.make(range(count), bootstrap, "across cells")
    values = np.array(list(skills.values())).T[None]
    return dict(zip(skills, estimates(values, range(count), draws), strict=True))


def _marks(held: int, count: int, averaged: bool) -> tuple[Flag, ...]:
    if held < count:
        return (Flag("not run", "settings", held, count),)
    return () if averaged else (Flag("no oracle", "no skill score in some setting"),)


def _record(mine: dict[str, MethodStatistics], theirs: dict[str, MethodStatistics]) -> Tally:
    gaps = [mine[c].curve.nauc.value - theirs[c].curve.nauc.value for c in mine if c in theirs]
    return Tally(sum(g > ZONE for g in gaps), sum(abs(g) <= ZONE for g in gaps), sum(g < -ZONE for g in gaps))


def _note(count: int) -> str:
    if count < 2:
        return f"{count} setting: no interval over settings." if count else "No setting counts."
    few = (
        f"Only {count} settings: the interval over settings has {count - 1} degree{'s' * (count > 2)} of freedom. "
        if count < FEW
        else ""
    )
    return few + "Intervals treat settings as a random sample of datasets and backbones; these were chosen by hand."
