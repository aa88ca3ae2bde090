"""The baseline of a cell: its best rule on the shared heads, chosen on val alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.curves import Window, val_nauc
from bench.stats.data import CellData, Entry

SHARED = "plain"  # the recipe of the heads that all methods of a seed share


@dataclass(frozen=True)
class Baseline:
    """The rule that others are compared with, and the val NAUC (mean over seeds) of every candidate."""

    label: str
    candidates: dict[str, float]
    declared: bool = False  # named by the caller instead


def decides_only(entry: Entry, cell: CellData) -> bool:
    """Whether a method decides nothing but when to leave, on the shared heads.

    It declares them (`heads=plain`), and at every exit it answers as right as the static exit of that seed: a method
    that trains, calibrates or combines answers does not.
    """
    if entry.heads != SHARED:
        return False
    exits = {(p.name, p.seed): p.accuracy for p in cell.static.points if p.ok}
    for point in entry.points:
        for k, accuracy in enumerate(point.exit_accuracy):
            if abs(exits.get((f"exit={k}", point.seed), accuracy) - accuracy) > 1e-9:
                return False
    return True


def choose(cell: CellData, labels: Sequence[str], seeds: Sequence[int], window: Window) -> Baseline | None:
    """Return the candidate among these methods with the highest val NAUC, mean over seeds; of equals the first."""
    entries = [e for e in cell.methods if e.label in labels and decides_only(e, cell)]
    found = {e.label: sum(val_nauc(cell, e.label, s, window) for s in seeds) / len(seeds) for e in entries if seeds}
    if not found:
        return None
    return Baseline(max(sorted(found), key=lambda label: found[label]), found)
