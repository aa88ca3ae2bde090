"""All scores of one operating point: the one place that assembles them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import UserError
from bench.metrics.families import FAMILIES, Family
from bench.metrics.samples import ALPHAS, Column, Measured


@dataclass(frozen=True)
class Scores:
    """Scores of one operating point, per exit as columns, and families left out: title → what is missing."""

    metrics: dict[str, float]
    columns: dict[str, Column]
    not_made: dict[str, list[str]] = field(default_factory=dict)

    def rows(self, exit_names: Sequence[str], exit_macs: Sequence[int]) -> list[dict[str, Any]]:
        """Return the per-exit table: `exit` counts from 0, `macs` is the cumulative cost of leaving there."""
        if not len(exit_names) == len(exit_macs) == len(next(iter(self.columns.values()))):
            raise UserError(f"{len(exit_macs)} exits need as many names, not {len(exit_names)}.")
        made = zip(exit_names, exit_macs, strict=True)
        return [
            {"exit": k, "name": str(name), "macs": int(macs)} | {key: values[k] for key, values in self.columns.items()}
            for k, (name, macs) in enumerate(made)
        ]


def score(point: Measured, families: Collection[Family] = FAMILIES) -> Scores:
    """Return the scores of these families, except those whose needs the operating point does not have.

    Shares, accuracies and coverages are in [0, 1]; docs/scores.md defines every score. New outcomes of simulated
    inference lack nothing but the training counts if those were not given.
    """
    metrics: dict[str, float] = {}
    columns: dict[str, Column] = {}
    not_made: dict[str, list[str]] = {}
    for family in families:
        if lacking := family.lacks(point):
            not_made[family.title] = lacking
            continue
        found, per_exit = family.make(point)
        missing = set(family.names(point.alphas)) - found.keys() | set(family.columns) - per_exit.keys()
        assert not missing or point.alphas != ALPHAS, f"{family.title} did not make {sorted(missing)}"
        metrics |= found
        columns |= per_exit
    return Scores(metrics, columns, not_made)
