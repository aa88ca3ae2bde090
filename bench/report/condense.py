"""Condense the report of a setting into the summary that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.report.context import CellReport
from bench.report.site.facts import cell_facts
from bench.report.site.finder import finder
from bench.report.summary import SCORES, CellSummary, Download, Line, Maker, merged
from bench.stats.bootstrap import Estimate
from bench.trials.folders import without_paths
from bench.trials.record import Record


def summarised(report: CellReport, downloads: Iterable[Download] = ()) -> CellSummary:
    """Return the summary of a setting, from which pages across settings are made."""
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
        modality=report.cell.modality,
        statistics=report.statistics,
        looks=dict(report.looks),
        lines=tuple(map(_line, report.records)),
        params=_params(methods),
        scores=scores,
        provenance=provenance(report.records),
        codes=merged({r.point.label: {r.point.code: 1}} for r in report.records),
        makers=_makers(report.records),
        facts=tuple(cell_facts(report)),
        finder=finder(report),
        downloads=tuple(downloads),
    )


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
    """Count the values of each provenance fact: {'packages.torch': {'2.13.0+cpu': 831}}."""
    return merged({key: {value: 1} for key, value in _flat(record.provenance)} for record in records)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list | tuple | set):
            yield f"{prefix}{key}", str(value)
