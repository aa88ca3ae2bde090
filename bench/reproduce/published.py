"""The operating points in the JEI-DNN authors' stored results, included as a small table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILE = "published.csv"
SOURCE = "git history of networkslab/dynn, snapshot f4a71eb (2023-09-28), stored results read as data"


@dataclass(frozen=True)
class Published:
    """One published operating point; `lam` is None for the frozen backbone with its own head."""

    dataset: str
    backbone: str
    lam: float | None
    mul_adds: float  # millions, by the authors' counter, which ignores tokens and attention
    full_mul_adds: float  # millions, the same counter for the whole network
    accuracy: float  # fraction, on the whole test set

    @property
    def fraction(self) -> float:
        """The cost as a fraction of the whole network, both by the authors' counter."""
        return self.mul_adds / self.full_mul_adds


@cache
def published() -> tuple[Published, ...]:
    """Read the table in this package; its header documents the source of every column."""
    text = files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Published(
            row["dataset"],
            row["backbone"],
            None if row["lambda"] == "full" else float(row["lambda"]),
            float(row["mul_adds_M"]),
            float(row["full_mul_adds_M"]),
            float(row["accuracy_percent"]) / 100,
        )
        for row in rows
    )


def points(dataset: str, backbone: str) -> tuple[Published, ...]:
    """Return the points of one dataset and backbone, by growing λ; the whole network comes last."""
    return tuple(p for p in published() if (p.dataset, p.backbone) == (dataset, backbone))
