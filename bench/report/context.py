"""The data behind the pages of one setting: its records and their statistics, computed once for all parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel

from bench.execution.measurements import Part
from bench.report.aggregate import Row, aggregate
from bench.report.cells import Address, addresses
from bench.report.policies import Policy
from bench.report.style import Look, looks
from bench.stats.load import from_records
from bench.stats.resample import BootstrapConfig
from bench.stats.results import CellStatistics
from bench.stats.summary import summarise
from bench.system.text import clean
from bench.trials.record import Cell, Record
from bench.trials.stores import by_setting, versions
from bench.tune.history import Tuned


@dataclass(frozen=True)
class CellReport:
    """One setting: its records ordered by id, their statistics, and the look of its methods in figures."""

    cell: Cell
    address: Address
    statistics: CellStatistics
    records: Sequence[Record]
    looks: Mapping[str, Look]
    searches: tuple[Tuned, ...] = ()  # parameter searches on this setting's bank
    measured: tuple[Part, ...] = ()  # latencies, per machine
    policies: tuple[Policy, ...] = ()  # exported ones, published beside the records

    @property
    def name(self) -> str:
        """A name that no other setting of the report has."""
        return self.address.name

    @property
    def folder(self) -> str:
        """The folder of this setting, relative to the report's folder."""
        return str(self.address.folder)

    @cached_property
    def newest(self) -> list[Record]:
        """The newest record of each operating point and seed, ordered by method, point and seed."""
        held = [found[0] for found in versions(self.records)]
        return sorted(held, key=lambda r: (r.point.kind, r.point.label, r.point.point, r.point.seed))

    @cached_property
    def rows(self) -> list[Row]:
        """One row per operating point, with the mean of every score over seeds; see `bench.report.aggregate`."""
        return aggregate(self.newest, self.statistics)


def cell_report(
    records: Iterable[Record],
    address: Address,
    bootstrap: BootstrapConfig | None = None,
    *,
    searched: Iterable[Tuned] = (),
    published: Collection[str] = (),
    measured: tuple[Part, ...] = (),
    policies: tuple[Policy, ...] = (),
    statistics: CellStatistics | None = None,
) -> CellReport:
    """Return the report of one setting with its statistics; the order of the records does not matter.

    searched: parameter searches; those on another bank are ignored. published: ids of the records that were read from a
    published store. measured: latencies. policies: exported ones to offer. statistics: those of these records, if they
    were computed before.
    """
    held = sorted(map(shown, records), key=lambda record: record.id)
    statistics = statistics or summarise(from_records(held, published, address.name), bootstrap)
    own = tuple(s for s in map(shown, searched) if s.subject.bank_digest == held[0].cell.bank_digest)
    labels = {record.point.label for record in held if record.point.kind == "method"}
    return CellReport(held[0].cell, address, statistics, held, looks(labels), own, measured, policies)


M = TypeVar("M", bound=BaseModel)
NAMES = ("cell", "dataset", "backbone", "point", "label", "note", "reason", "subject", "method")


def shown(model: M) -> M:
    """Return a record or a search with control characters removed from its names and sentences."""
    update: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(model, name, None)
        new = clean(value) if isinstance(value, str) else shown(value) if isinstance(value, BaseModel) else value
        if new is not value and new != value:
            update[name] = new
    return model.model_copy(update=update) if update else model


def cell_reports(records: Iterable[Record], bootstrap: BootstrapConfig | None = None) -> list[CellReport]:
    """Return the reports, with statistics, of all settings that these records belong to."""
    held = by_setting(records)
    return [cell_report(held[cell], address, bootstrap) for cell, address in addresses(held).items()]
