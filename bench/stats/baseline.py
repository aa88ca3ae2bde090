"""The baseline of a setting: its best rule on the shared heads, chosen on cal; and plain thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.stats.data import CellData, Entry, Split

LOOKAHEAD = "lookahead"  # sees the logits of all exits: what rules on them could reach at most, the unit of skill
PLAIN = "global_thresh"  # one max-probability threshold for all exits: the other baseline, in every setting
SHARED = "plain"  # the recipe of the heads that all methods of a seed share


@dataclass(frozen=True)
class Baseline:
    """The rule that others are compared with, and the own gain of every candidate where it was chosen."""

    label: str
    candidates: dict[str, float]
    split: Split = "cal"
    declared: bool = False  # named by the caller instead

    @property
    def how(self) -> str:
        """How it came to be the baseline, in words."""
        return "declared" if self.declared else f"the rule on shared heads with the largest own gain on {self.split}"


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


def choose(cell: CellData, gains: Mapping[str, float]) -> Baseline | None:
    """Return the candidate among these methods with the largest own gain where methods are chosen.

    Ties go to the first by name. None where no method is a candidate.
    """
    candidates = {e.label: gains[e.label] for e in cell.methods if e.label in gains and decides_only(e, cell)}
    if not candidates:
        return None
    best = max(sorted(candidates), key=lambda label: candidates[label])
    return Baseline(best, candidates, cell.choosing)
