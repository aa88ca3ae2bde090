"""The baseline of a setting: its best rule on the shared heads, chosen on cal.

No rule is fitted on cal and nothing is reported on it. Val would favour the rules that fit it most closely; it is used
only if records have no scores on cal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.curves import Split, Window, nauc_on
from bench.stats.data import CellData, Entry

SPLITS: tuple[Split, ...] = ("cal", "val")  # where a baseline may be chosen, the better first
SHARED = "plain"  # the recipe of the heads that all methods of a seed share


@dataclass(frozen=True)
class Baseline:
    """The rule that others are compared with, and the NAUC (mean over seeds) of every candidate where it was chosen."""

    label: str
    candidates: dict[str, float]
    split: Split = "cal"
    declared: bool = False  # named by the caller instead

    @property
    def how(self) -> str:
        """How it came to be the baseline, in words."""
        return "declared" if self.declared else f"the rule on shared heads with the best NAUC on {self.split}"


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
    """Return the candidate among these methods with the highest NAUC, mean over seeds; of equals the first.

    Measured on cal if all candidates and static exits have scores there, else on val.
    """
    candidates = sorted(e.label for e in cell.methods if e.label in labels and decides_only(e, cell))
    if not candidates or not seeds:
        return None
    for split in SPLITS:
        found = {c: sum(nauc_on(cell, c, s, window, split) for s in seeds) / len(seeds) for c in candidates}
        if not any(math.isnan(value) for value in found.values()):
            break
    return Baseline(max(candidates, key=lambda label: found[label]), found, split)
