"""The baseline of a setting: its best rule on the shared heads, chosen on cal; and plain thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.stats.data import CellData, Entry, Split

LOOKAHEAD = "lookahead"  # the reference for what the logits allow; its own gain is the unit of skill
PLAIN = "global_thresh"  # one max-probability threshold for all exits: the other baseline, in every setting
SHARED = "plain"  # the recipe of the heads that all methods of a seed share


@dataclass(frozen=True)
class Baseline:
    """The rule that others are compared with, and the own gain of every candidate on the split that chose it."""

    label: str
    candidates: dict[str, float]
    split: Split = "cal"
    declared: bool = False  # named by the caller instead

    @property
    def how(self) -> str:
        """How the baseline was chosen, in words."""
        return "declared" if self.declared else f"the rule on shared heads with the largest own gain on {self.split}"


def decides_only(entry: Entry, cell: CellData) -> bool:
    """Return whether a method only decides when to leave, on the shared heads.

    It declares them (`heads=plain`), and each of its exits is as accurate as the static exit of that seed: not so if
    methods train, calibrate or combine answers.
    """
    if entry.heads != SHARED:
        return False
    exits = {(p.name, p.seed): p.accuracy for p in cell.static.points if p.ok}
    for point in entry.points:
        for k, accuracy in enumerate(point.exit_accuracy):
            if abs(exits.get((f"exit={k}", point.seed), accuracy) - accuracy) > 1e-9:
                return False
    return True


def choose(cell: CellData, gains: Mapping[str, float]) -> Baseline | None:
    """Return the candidate among these methods with the largest own gain on `cell.choosing`.

    Ties go to the first by name. None if no method is a candidate.
    """
    candidates = {e.label: gains[e.label] for e in cell.methods if e.label in gains and decides_only(e, cell)}
    if not candidates:
        return None
    best = max(sorted(candidates), key=lambda label: candidates[label])
    return Baseline(best, candidates, cell.choosing)
