"""What a report is made from: the records of every cell with their statistics, computed once for all its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError, nearest
from bench.report.aggregate import Row, aggregate
from bench.report.cells import FIELDS, Cell, split_cells
from bench.report.parallel import Each, serially
from bench.report.style import Look, looks
from bench.stats.across import AcrossStatistics, across
from bench.stats.load import from_records
from bench.stats.resample import Effort
from bench.stats.results import CellStatistics
from bench.stats.summary import summarise
from bench.trials.outcomes import unpack
from bench.trials.record import Record
from bench.trials.stores import read_all
from bench.trials.table import frame_of
from bench.tune.history import FOLDER, Tuned, searches


@dataclass(frozen=True)
class CellReport:
    """One cell: its records, what they say together, and how its methods look in every figure.

    `records` are in a stable order; `bench.trials.outcomes.unpack` decodes their per-sample outcomes.
    """

    cell: Cell
    statistics: CellStatistics
    records: list[Record]
    looks: Mapping[str, Look]
    searches: tuple[Tuned, ...] = ()  # of parameters, on this cell's bank

    @property
    def name(self) -> str:
        """A name that no other cell of the report has."""
        return self.statistics.name

    @cached_property
    def rows(self) -> list[Row]:
        """One row per operating point, with the mean of every score over seeds; see `bench.report.aggregate`."""
        return aggregate(self.records, self.statistics)


@dataclass(frozen=True)
class Report:
    """All cells in a stable order, what holds across them, and where the records come from.

    `provenance` maps each known fact ('cpu', 'packages.torch', 'threads', …) to its values and the number of records
    that have each.
    """

    cells: tuple[CellReport, ...]
    across: AcrossStatistics
    provenance: Mapping[str, Mapping[str, int]]
    effort: Effort


def load(results: str | Path, effort: Effort | None = None, *, only: str | None = None) -> Report:
    """Read a results folder and compute all statistics; see `make`. Raises UserError where it does not exist."""
    return make(read(results), effort, only=only, searched=searches(Path(results) / FOLDER))


def read(results: str | Path) -> list[Record]:
    """Return all records of a results folder. Raises UserError where it does not exist."""
    return read_all([results])


def make(
    records: Iterable[Record],
    effort: Effort | None = None,
    *,
    only: str | None = None,
    each: Each = serially,
    searched: Sequence[Tuned] = (),
) -> Report:
    """Split records into cells and compute the statistics of each and across them; their order changes nothing.

    `only` leaves just the cells of one dataset (`cifar100`) or folder (`cifar100/resnet18`). Raises UserError for a
    name in it that no cell has. each: maps the work over cells; see `bench.report.parallel`.
    searched: parameter searches, each of which belongs to the cell of its bank.
    """
    effort = effort or Effort()
    held = sorted(records, key=lambda record: record.id)
    frame = frame_of(held)
    known = {(_key(r), r.id): r for r in held}
    shared = looks(frame.loc[frame["kind"] == "method", "method"])
    cells = split_cells(frame) if len(frame) else []
    names = _names(cells)
    wanted = [c for c in cells if only is None or only.strip("/") in (str(c.folder), c.folder.parts[0], c.dataset)]
    if cells and not wanted:
        valid = {c.folder.parts[0] for c in cells} | {str(c.folder) for c in cells}
        raise UserError(f"No record belongs to '{only}'.{nearest(str(only), valid)}")
    mine = [[known[tuple(getattr(c, field) for field in FIELDS), i] for i in c.records["id"]] for c in wanted]
    found = each(partial(_statistics, effort), mine)
    reports = [
        CellReport(cell, replace(statistics, name=names[cell.folder]), own, shared, _on(cell, searched))
        for cell, statistics, own in zip(wanted, found, mine, strict=True)
    ]
    used = [record for report in reports for record in report.records]
    overall = across([report.statistics for report in reports], effort)
    return Report(tuple(reports), overall, provenance(used), effort)


def _on(cell: Cell, searched: Sequence[Tuned]) -> tuple[Tuned, ...]:
    return tuple(search for search in searched if search.subject.bank_digest == cell.bank_digest)


def count_cells(records: Iterable[Record]) -> int:
    """Return how many cells these records belong to."""
    return len({_key(record) for record in records})


def _statistics(effort: Effort, records: list[Record]) -> CellStatistics:
    return summarise(from_records(records, unpack), effort)


def _key(record: Record) -> tuple[Any, ...]:
    """Return what FIELDS say of a record's cell."""
    c = record.cell
    place = c.dataset, c.dataset_variant, c.backbone, c.image_size
    return *place, c.protocol_version, c.limit, len(c.exit_names), c.bank_digest


def _names(cells: Iterable[Cell]) -> dict[Any, str]:
    """Name every cell, with what tells it from its twins where it has some."""
    held = list(cells)
    often = Counter(cell.name for cell in held)
    return {c.folder: c.name if often[c.name] == 1 else f"{c.name} · {c.folder.name.partition('--')[2]}" for c in held}


def provenance(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Count the values of every fact that records state of their making: 'packages.torch': {'2.13.0+cpu': 831}."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        for key, value in _flat(record.provenance):
            counts.setdefault(key, Counter())[value] += 1
    return {key: dict(sorted(counts[key].items())) for key in sorted(counts)}


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not pd.api.types.is_list_like(value):
            yield f"{prefix}{key}", str(value)
