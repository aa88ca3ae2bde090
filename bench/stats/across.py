"""Statistics across settings: mean own gains of methods, and pairwise wins, ties and losses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.errors import UserError
from bench.stats.bootstrap import UNKNOWN, Draws, Estimate, estimates
from bench.stats.flags import LEFT_OUT, Flag
from bench.stats.resample import BootstrapConfig
from bench.stats.results import CellStatistics, MethodStatistics

ZONE = 0.005  # of own gain: within half a point two methods are practically equal
NATIVE = re.compile(r"\[heads=native\]|,heads=native|heads=native,")
FEW = 5  # settings below which there are no intervals over settings, wins, ties and losses


@dataclass(frozen=True)
class Tally:
    """Numbers of settings that a method wins, ties and loses against another; ties differ by at most ZONE."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Overall:
    """A method over the settings where its grid is complete; means are None unless these are all that count."""

    label: str
    own: Estimate | None  # own gain
    gain: Estimate | None  # NAUC with static exits minus that of the static hull
    cells: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class AcrossStatistics:
    """The settings that count, those left out and why, methods by falling mean own gain, and all pairs of methods."""

    cells: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]  # (cell, reason)
    methods: tuple[Overall, ...]
    pairs: dict[tuple[str, str], Tally]  # (method, other), over the settings where both are complete; none below FEW
    note: str


def named_alike(cell: CellStatistics) -> CellStatistics:
    """Return a setting whose methods are named as in other settings.

    On a network that was trained with its exits, the result on those exits represents a method: `eefp[heads=native]` is
    renamed `eefp`, and the `eefp` on heads that were trained afterwards is left out.
    """
    native = {NATIVE.sub("", m.label): m for m in cell.methods if NATIVE.search(m.label)}
    if not native:
        return cell
    kept = (m for m in cell.methods if m.label not in native)
    methods = [replace(m, label=NATIVE.sub("", m.label)) for m in kept]
    return replace(cell, methods=tuple(methods))


def across(cells: Sequence[CellStatistics], bootstrap: BootstrapConfig | None = None) -> AcrossStatistics:
    """Average gains over settings and count wins.

    Smoke runs, backbones that have seen the data and settings that fail a quality check are left out. The interval
    treats settings as drawn at random: it is that of `bootstrap` with settings in the place of seeds. It includes the
    variance within a setting, since settings differ by that too. A method that lacks a setting has no mean. Below FEW
    settings there are no intervals and no pairs. Methods have the names of `named_alike`. Raises UserError if two
    settings have the same name.
    """
    if len({c.name for c in cells}) < len(cells):
        raise UserError("Two of these settings have the same name; give each dataset, backbone and bank once.")
    found = sorted(map(named_alike, cells), key=lambda c: c.name)
    reasons = {c.name: [str(m) for m in c.flags if m.kind in LEFT_OUT] for c in found}
    kept = [c for c in found if not reasons[c.name]]
    names = tuple(c.name for c in kept)
    labels = sorted({m.label for c in kept for m in c.methods})
    known = {
        label: {c.name: c.method(label) for c in kept if any(m.label == label and m.complete for m in c.methods)}
        for label in labels
    }
    whole = {label: held for label, held in known.items() if kept and len(held) == len(kept)}
    own, gain = (
        _means(
            {label: [getattr(m.curve, score).value for m in held.values()] for label, held in whole.items()}, bootstrap
        )
        for score in ("own", "gain")
    )
    methods = [
        Overall(label, own.get(label), gain.get(label), len(held), _flags(len(held), len(kept), averaged=label in own))
        for label, held in known.items()
    ]
    several = len(kept) >= FEW
    pairs = {(a, b): _record(known[a], known[b]) for a in labels for b in labels if a != b and several}
    return AcrossStatistics(
        names,
        tuple((name, reason[0]) for name, reason in reasons.items() if reason),
        tuple(sorted(methods, key=lambda m: (m.own is None, -m.own.value if m.own else 0.0, m.label))),
        pairs,
        _note(len(kept)),
    )


def _means(scores: dict[str, list[float]], bootstrap: BootstrapConfig | None) -> dict[str, Estimate]:
    """Return the mean of each method's scores over the same settings; none where one is unknown."""
    known = {label: values for label, values in scores.items() if np.isfinite(values).all()}
    if not known:
        return {}
    table = np.array(list(known.values())).T[None]
    settings = range(table.shape[1])
    found = estimates(table, settings, Draws.make(settings, bootstrap or BootstrapConfig(), "across cells"))
    if len(settings) < FEW:
        found = [replace(UNKNOWN, value=mean.value) for mean in found]
    return dict(zip(known, found, strict=True))


def _flags(held: int, count: int, *, averaged: bool) -> tuple[Flag, ...]:
    if held < count:
        return (Flag("not run", "settings", held, count),)
    return () if averaged else (Flag("no static", "no own gain in some setting"),)


def _record(mine: dict[str, MethodStatistics], theirs: dict[str, MethodStatistics]) -> Tally:
    gaps = [mine[c].curve.own.value - theirs[c].curve.own.value for c in mine if c in theirs]
    return Tally(sum(g > ZONE for g in gaps), sum(abs(g) <= ZONE for g in gaps), sum(g < -ZONE for g in gaps))


def _note(count: int) -> str:
    if not count:
        return "There is no setting to average."
    if count < FEW:
        few = f"{count} setting{'s' * (count > 1)}, fewer than {FEW}"
        return f"{few}: no intervals over settings, wins, ties and losses."
    return "Intervals treat settings as a random sample of datasets and backbones; these were chosen by hand."
