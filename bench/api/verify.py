"""Compute stored operating points again on this machine, and compare their scores with the records."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.evaluate import load_method
from bench.bank.bank import with_digest
from bench.bank.cell import Cell
from bench.config import resolve_device
from bench.errors import UserError
from bench.trials.plan import REFERENCES, Trial, method_points, reference_points
from bench.trials.record import Point, Record, record_id
from bench.trials.store import read
from bench.trials.stores import open_store
from bench.trials.verified import note, scores_digest

if TYPE_CHECKING:
    from bench.bank.bank import Bank

TOLERANCE = 0.002  # largest difference of a score: other processors round differently, which moves a few samples
Place = tuple[Path, Record]  # the folder that the flag of a record is stored in, and the record
Group = tuple[Path, Cell, str, int]  # what one fit makes: folder, setting, label and seed


@dataclass(frozen=True)
class Compared:
    """A record and its recomputation."""

    record: Record
    again: Record
    score: str  # the score that differs most, or 'status'
    difference: float  # |new - stored| / max(1, |stored|); inf if the status differs
    verified: bool  # within the tolerance

    @property
    def title(self) -> str:
        """The setting and the operating point, as displayed."""
        point = self.record.point
        return f"{self.record.cell.title} · {point.label}, {point.point}, seed {point.seed}"


def compare(record: Record, again: Record, tolerance: float = TOLERANCE) -> Compared:
    """Compare the status and all scores that both records have; scores that are NaN in both are equal."""
    if record.status != again.status or ("accuracy" in record.metrics) != ("accuracy" in again.metrics):
        return Compared(record, again, "status", math.inf, False)
    found = {
        name: _difference(again.metrics[name], old) for name, old in record.metrics.items() if name in again.metrics
    }
    score = max(sorted(found), key=found.__getitem__, default="status")
    largest = found.get(score, 0.0)
    return Compared(record, again, score, largest, largest <= tolerance)


def _difference(new: float, old: float) -> float:
    if new == old or (math.isnan(new) and math.isnan(old)):
        return 0.0
    found = abs(new - old) / max(1.0, abs(old))
    return math.inf if math.isnan(found) else found


def verify(
    places: Sequence[Path],
    sample: int = 6,
    *,
    draw: int | None = None,
    tolerance: float = TOLERANCE,
    bank_dir: Path | None = None,
    device: str = "auto",
) -> Iterator[Compared]:
    """Compute a random sample of operating points again and yield each comparison; store which are verified.

    places: files of records, all of which are computed, or folders of stores. sample: points of all stores together.
    draw: seed of the sample; by default a new one each time. A flag is stored in `verified.json` beside the records,
    and removed if the scores differ.
    Raises UserError for a bank that is not on this machine, and for records of a version that is not installed.
    """
    given, others = _read(places)
    stored = [place for place in others if place[1].status in ("ok", "infeasible")]
    chosen = [*given, *random.Random(draw).sample(stored, min(sample, len(stored)))]
    if not chosen:
        raise UserError("There is no operating point to verify: all of them failed. Run them again.")
    groups: dict[Group, list[Record]] = {}
    for folder, record in sorted(chosen, key=lambda place: place[1].id):
        groups.setdefault(_group(folder, record), []).append(record)
    banks = {cell: _bank(cell, bank_dir) for _, cell, *_ in groups}  # a missing bank is an error before any work
    trials = {group: _trial(group, records, [*given, *others]) for group, records in groups.items()}
    for group, records in groups.items():
        made = [compare(r, a, tolerance) for r, a in _computed(banks[group[1]], trials[group], records, device)]
        note(group[0], {one.record.id: _entry(one, tolerance) if one.verified else None for one in made})
        yield from made


def _read(places: Sequence[Path]) -> tuple[list[Place], list[Place]]:
    """Return the records named by their files, and those of stores."""
    given, others = [], []
    for place in places:
        if place.is_file():
            given.append((place.parent, read(place)))
        else:
            others += [(place, record) for record in open_store(place).records()]
    return given, others


def _group(folder: Path, record: Record) -> Group:
    point = record.point
    return folder, record.cell, REFERENCES if point.kind == "reference" else point.label, point.seed


def _bank(cell: Cell, bank_dir: Path | None) -> Bank:
    bank = with_digest(cell.bank_digest, bank_dir)
    if bank is None:
        raise UserError(
            f"The bank {cell.bank_digest[:12]} of {cell.title} is not on this machine. Build it with `bench bank "
            f"build` (--dataset {cell.dataset}, --backbone {cell.backbone} and the other options of the run), or name "
            "its folder with --bank-dir."
        )
    return bank


def _trial(group: Group, records: Sequence[Record], known: Sequence[Place]) -> Trial:
    """Return the trial that computes the records, with all stored budgets of its fit."""
    _, cell, label, seed = group
    fit = [record for folder, record in known if _group(folder, record) == group]
    budgets = tuple(sorted({r.point.budget for r in fit if r.point.budget is not None}))
    config, method, points = None, REFERENCES, reference_points(len(cell.exit_names), budgets, seed)
    if label != REFERENCES:
        loaded = load_method(label)
        config, method, points = loaded.config, loaded.name, method_points(loaded, budgets, seed)
    by_id = {record_id(cell, point): point for point in points}
    return Trial(cell, method, config, seed, tuple(_same(by_id, record) for record in records), budgets)


def _same(by_id: dict[str, Point], record: Record) -> Point:
    if record.id not in by_id:
        made = f"version {record.point.version}" if record.point.version is not None else f"code {record.point.code}"
        raise UserError(
            f"The record {record.id} of {record.point.label} ({made}, heads {record.point.heads}) was made by another "
            "version than the installed one. Install the version that made it, or give its file with --plugin."
        )
    return by_id[record.id]


def _computed(bank: Bank, trial: Trial, records: Sequence[Record], device: str) -> list[tuple[Record, Record]]:
    from bench.executors.worker import Settings, Worker
    from bench.trials.provenance import provenance

    where = resolve_device(device)
    threads = int(records[0].provenance.get("threads") or 1)  # rounding depends on the number of threads
    again = Worker(Settings(where, threads, provenance(where, threads))).run(bank, trial)
    by_id = {record.id: record for record, _ in again}
    return [(record, by_id[record.id]) for record in records]


def _entry(one: Compared, tolerance: float) -> dict[str, object]:
    told = one.again.provenance
    return {
        "scores": scores_digest(one.record),
        "largest_difference": one.difference,
        "score": one.score,
        "tolerance": tolerance,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: told.get(name) for name in ("packages", "cpu", "device", "git_sha", "git_dirty")},
    }
