"""Our numbers next to the published ones: rows, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.reproduce.availability import Availability
from bench.reproduce.grid import RECIPE, PaperCell
from bench.reproduce.published import SOURCE
from bench.reproduce.run import Ran

NOTES = (
    f"Published: JEI-DNN on the whole test set ({SOURCE}). Cost is a fraction of the network by the authors' counter, "
    "which counts a linear layer once per image and attention not at all.",
    "Ours: this benchmark's protocol. These backbones have seen the official training images, so val and cal are one "
    "half of the official test set, and test is the other half (v1-seen). Cost is a fraction of the plain backbone's "
    "MACs, with tokens, attention, heads and gates counted. Heads train on clean features, without augmentation. "
    "± is the half width of the 95 % interval over seeds.",
    "Difference: accuracy, ours minus published, in points at the same λ. n/c: not comparable. full: the frozen "
    "backbone with its own head.",
    "Not shown: the calibration errors of that snapshot, which are means over mini-batches, and its baselines, which "
    "were scored on one half of the test set.",
)
HOW_TO_FINE_TUNE = f"Fine-tuning in the JEI-DNN authors' code: {RECIPE}."


@dataclass(frozen=True)
class Result:
    """One cell after the command: what was available, and the result of the run."""

    availability: Availability
    method: str  # the configured method
    ran: Ran | None = None
    failure: str | None = None

    @property
    def cell(self) -> PaperCell:
        """The cell of the grid."""
        return self.availability.cell

    @property
    def status(self) -> str:
        """'ran', 'failed', 'missing', or 'ready' after a dry run."""
        if self.ran or self.failure:
            return "ran" if self.ran else "failed"
        return "ready" if self.availability.complete else "missing"

    @property
    def not_comparable(self) -> str | None:
        """Why accuracies must not be subtracted."""
        variant = self.ran.variant if self.ran else None
        if self.cell.not_comparable is None and variant not in (None, "unverified"):
            return f"our copy of the images is {variant}"
        return self.cell.not_comparable


@dataclass(frozen=True)
class PaperRow:
    """One operating point: published, and ours if it was run. Fractions; the difference is in points."""

    cell: str
    lam: float | None  # None: the whole network
    published_cost: float
    published_accuracy: float
    our_cost: float | None = None
    our_accuracy: float | None = None
    our_accuracy_half: float | None = None  # half width of the 95 % interval; None for one seed
    difference: float | None = None


def rows(result: Result) -> list[PaperRow]:
    """Return a cell's operating points by growing λ, the whole network last."""
    found = []
    ours = result.ran.points if result.ran else (None,) * len(result.cell.points)
    for theirs, mine in zip(result.cell.points, ours, strict=True):
        row: dict[str, Any] = {}
        if mine is not None:
            half = (mine.accuracy.high - mine.accuracy.low) / 2
            row = {
                "our_cost": mine.cost.value,
                "our_accuracy": mine.accuracy.value,
                "our_accuracy_half": None if math.isnan(half) else half,
            }
            if result.not_comparable is None:
                row["difference"] = 100 * (mine.accuracy.value - theirs.accuracy)
        found.append(PaperRow(result.cell.name, theirs.lam, theirs.fraction, theirs.accuracy, **row))
    return found


_TEXT = "{:<22}{:>6}{:>11}{:>11}{:>8}{:>15}{:>8}"


def as_text(results: Sequence[Result]) -> str:
    """Return all rows as a table for the terminal, 81 characters wide."""
    lines = [
        _TEXT.format("", "", "published", "published", "our", "our", "differ-"),
        _TEXT.format("cell", "λ", "cost", "accuracy %", "cost", "accuracy %", "ence"),
    ]
    for result in results:
        lines.append("")
        for i, row in enumerate(rows(result)):
            half = "" if row.our_accuracy_half is None else f" ± {100 * row.our_accuracy_half:.2f}"
            lines.append(
                _TEXT.format(
                    "" if i else row.cell,
                    "full" if row.lam is None else f"{row.lam:g}",
                    f"{row.published_cost:.3f}",
                    f"{100 * row.published_accuracy:.2f}",
                    "–" if row.our_cost is None else f"{row.our_cost:.3f}",
                    "–" if row.our_accuracy is None else f"{100 * row.our_accuracy:.2f}{half}",
                    f"{row.difference:+.2f}" if row.difference is not None else "n/c" if result.ran else "–",
                )
            )
    return "\n".join(lines)


def as_csv(results: Sequence[Result]) -> str:
    """Return all rows as CSV."""
    text = io.StringIO()
    names = ["cell", "status", "method", *list(PaperRow.__dataclass_fields__)[1:], "not_comparable"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lambda" if name == "lam" else name for name in names])
    for result in results:
        for row in rows(result):
            cell, lam, *values = asdict(row).values()
            shown = ["" if v is None else f"{v:.6g}" for v in values]
            method = result.method if result.ran else ""
            head = [cell, result.status, method, "full" if lam is None else f"{lam:g}"]
            writer.writerow([*head, *shown, result.not_comparable or ""])
    return text.getvalue()


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything that the command prints, for machines."""
    return {
        "paper": "jeidnn",
        "notes": [*NOTES, HOW_TO_FINE_TUNE],
        "cells": [_cell(r) for r in results],
    }


def _cell(result: Result) -> dict[str, Any]:
    available, ran = result.availability, result.ran
    points = [{"lambda": d.pop("lam"), **d} for d in map(asdict, rows(result)) if d.pop("cell")]
    return {
        "cell": result.cell.name,
        "status": result.status,
        "method": result.method,
        "image_size": result.cell.image_size,
        "data": {"found": available.data is not None, "note": available.data_note},
        "weights": {"found": available.weights is not None, "note": available.weights_note},
        "failure": result.failure,
        "not_comparable": result.not_comparable,
        "protocol": ran.protocol if ran else None,
        "images": ran.sizes if ran else None,
        "seeds": list(ran.seeds) if ran else None,
        "points": points,
    }
