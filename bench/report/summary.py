"""What is kept of a setting, as JSON: pages across settings need neither its records nor its statistics again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, TypeAdapter

from bench.report.cells import without_paths
from bench.report.context import CellReport
from bench.report.style import Look
from bench.stats.across import AcrossStatistics, across
from bench.stats.bootstrap import Estimate
from bench.stats.resample import BootstrapConfig
from bench.stats.results import CellStatistics
from bench.trials.accepted import made_by_other_code
from bench.trials.record import Point, Record

SCORES = ("accuracy", "macs", "macs_fraction", "nll", "brier", "ece_mass15", "set_size_lac@0.05",
          "coverage_lac@0.05", "aurc")  # fmt: skip


class Line(NamedTuple):
    """A record in one line; `scores` are those of SCORES."""

    id: str
    kind: str
    label: str
    point: str
    budget: float | None
    seed: int
    status: str
    scores: tuple[float | None, ...]
    fit_seconds: float | None
    note: str
    reason: str | None

    def score(self, name: str) -> float | None:
        """Return one of SCORES."""
        return self.scores[SCORES.index(name)]


class Maker(NamedTuple):
    """Whose code made records, and whether it is neither the current one nor accepted for the same version."""

    kind: Literal["method", "reference"]
    method: str
    version: int | None
    heads: dict[str, int | str]
    code: str
    other_code: bool

    @classmethod
    def of(cls, point: Point) -> Maker:
        """Return the maker of a record."""
        return cls(point.kind, point.method, point.version, point.heads, point.code, made_by_other_code(point))

    @property
    def up_to_date(self) -> bool:
        """Whether the code that is installed now gives the same answer."""
        point = Point(
            kind=self.kind, method=self.method, label=self.method, params={}, version=self.version, heads=self.heads,
            code=self.code, point="", budget=None, seed=0,
        )  # fmt: skip
        return made_by_other_code(point) == self.other_code


@dataclass(frozen=True)
class Download:
    """A table or figure with its files: (form, path relative to the report's folder)."""

    name: str
    title: str
    files: tuple[tuple[str, str], ...]

    def path(self, form: str) -> str | None:
        """Return its path in one form, None if it is not written in that form."""
        return dict(self.files).get(form)


@dataclass(frozen=True)
class CellSummary:
    """One setting as pages across settings see it."""

    folder: str
    name: str
    dataset: str
    backbone: str
    protocol: str
    statistics: CellStatistics
    looks: dict[str, Look]
    lines: tuple[Line, ...]  # by id
    params: dict[str, dict[str, tuple[str, ...]]]  # label: parameter: its values in the records
    scores: dict[str, dict[str, dict[str, Estimate]]]  # label: point: mean over seeds of some scores
    provenance: dict[str, dict[str, int]]  # fact: value: records
    codes: dict[str, dict[str, int]]  # label: digest of the code: records
    makers: tuple[Maker, ...]
    facts: tuple[tuple[str, str], ...]
    downloads: tuple[Download, ...] = ()

    def of(self, label: str) -> list[Line]:
        """Return the records of a method."""
        return [line for line in self.lines if line.kind == "method" and line.label == label]


@dataclass(frozen=True)
class Report:
    """All settings in a stable order, and what holds across them."""

    cells: tuple[CellSummary, ...]
    across: AcrossStatistics
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(len(cell.lines) for cell in self.cells)

    @property
    def provenance(self) -> dict[str, dict[str, int]]:
        """The values of every fact that records state of how they were made, and how many records have each."""
        return _merged(cell.provenance for cell in self.cells)


def report_of(cells: Iterable[CellSummary], bootstrap: BootstrapConfig | None = None) -> Report:
    """Compute what holds across settings."""
    bootstrap, held = bootstrap or BootstrapConfig(), tuple(cells)
    return Report(held, across([cell.statistics for cell in held], bootstrap), bootstrap)


def summarised(report: CellReport, downloads: Iterable[Download] = ()) -> CellSummary:
    """Return what pages across settings need of a setting."""
    from bench.report.site.facts import cell_facts

    methods = [record for record in report.records if record.point.kind == "method"]
    points = {(row.method, row.point): row for row in report.rows if row.kind == "method"}
    scores: dict[str, dict[str, dict[str, Estimate]]] = {}
    for (label, point), row in points.items():
        known = {name: row.estimate(name) for name in ("ece_mass15", "set_size_lac@0.05")}
        scores.setdefault(label, {})[point] = {name: value for name, value in known.items() if value is not None}
    return CellSummary(
        folder=report.folder,
        name=report.name,
        dataset=without_paths(report.cell.dataset),
        backbone=without_paths(report.cell.backbone),
        protocol=report.cell.protocol_version,
        statistics=report.statistics,
        looks=dict(report.looks),
        lines=tuple(map(_line, report.records)),
        params=_params(methods),
        scores=scores,
        provenance=provenance(report.records),
        codes=_merged({r.point.label: {r.point.code: 1}} for r in report.records),
        makers=_makers(report.records),
        facts=tuple(cell_facts(report)),
        downloads=tuple(downloads),
    )


def to_json(summary: CellSummary) -> bytes:
    """Return a summary as JSON."""
    return _adapter().dump_json((summary,))


def from_json(content: bytes) -> CellSummary:
    """Return the summary in the JSON of `to_json`; raise ValueError if it is damaged."""
    return _adapter().validate_json(content)[0]


@cache
def _adapter() -> TypeAdapter[tuple[CellSummary]]:
    return TypeAdapter(tuple[CellSummary], config=ConfigDict(ser_json_inf_nan="constants"))


def _line(record: Record) -> Line:
    point = record.point
    return Line(
        record.id, point.kind, point.label, point.point, point.budget, point.seed, record.status,
        tuple(record.metrics.get(name) for name in SCORES), record.timings.get("fit_seconds"),
        without_paths(record.note), None if record.reason is None else without_paths(record.reason),
    )  # fmt: skip


def _makers(records: Sequence[Record]) -> tuple[Maker, ...]:
    known = {(r.point.kind, r.point.method, r.point.version, r.point.code, str(r.point.heads)): r for r in records}
    return tuple(Maker.of(record.point) for _, record in sorted(known.items(), key=lambda item: str(item[0])))


def _params(records: Sequence[Record]) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for record in records:
        for key, value in record.point.params.items():
            written = "–" if value is None else without_paths(str(value))
            found.setdefault(record.point.label, {}).setdefault(key, set()).add(written)
    return {label: {key: tuple(sorted(v)) for key, v in held.items()} for label, held in sorted(found.items())}


def provenance(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Count the values of every fact that records state of their making: 'packages.torch': {'2.13.0+cpu': 831}."""
    return _merged({key: {value: 1} for key, value in _flat(record.provenance)} for record in records)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list | tuple | set):
            yield f"{prefix}{key}", str(value)


def _merged(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part in parts:
        for key, values in part.items():
            counts.setdefault(key, Counter()).update(values)
    return {key: dict(sorted(counts[key].items())) for key in sorted(counts)}
