"""Convert the records of one setting to the data that its statistics are computed from."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.stats.data import CellData, Entry, OperatingPoint
from bench.trials.accepted import made_by_other_code
from bench.trials.record import Point, Record
from bench.trials.stored import samples_of
from bench.trials.stores import by_setting, versions


def from_records(records: Iterable[Record], published: Collection[str] = (), name: str = "") -> CellData:
    """Return the data of a setting from its records in any order; the newest record of a point and seed counts.

    Outcomes are unpacked for methods and static exits. published: ids of records that come from a published store.
    name: of the setting, in reports. Raises UserError for no records, or for records of several settings.
    """
    cells = by_setting(records)
    if len(cells) != 1:
        wrong = f"{len(cells)} settings; give those of one dataset, backbone and bank" if cells else "no setting"
        raise UserError(f"These records belong to {wrong}.")
    ((cell, held),) = cells.items()
    newest: dict[tuple[str, str], list[Sequence[Record]]] = {}
    for found in versions(held):
        point = found[0].point
        newest.setdefault((point.kind, point.label), []).append(found)
    entries = {key: _entry(key[1], found, published) for key, found in sorted(newest.items()) if _needed(*key)}
    none = Entry("", ())
    return CellData(
        name=name or f"{cell.dataset} · {cell.backbone}",
        methods=tuple(entry for (kind, _), entry in entries.items() if kind == "method"),
        static=entries.get(("reference", "static"), none),
        oracle=entries.get(("reference", "oracle"), none),
        num_exits=len(cell.exit_names),
        variant=cell.dataset_variant,
        protocol=cell.protocol_version,
        limit=cell.limit,
        test_set="|".join(map(str, (cell.dataset, cell.dataset_variant, cell.protocol_version, cell.limit))),
    )


def _needed(kind: str, label: str) -> bool:
    return kind == "method" or label in ("static", "oracle")


def _entry(label: str, found: Iterable[Sequence[Record]], published: Collection[str]) -> Entry:
    held = sorted(found, key=lambda records: (records[0].point.point, records[0].point.seed))
    first = held[0][0].point
    heads = first.params.get("heads")
    return Entry(
        label=label,
        points=tuple(_point(records[0], len(records) - 1, records[0].id in published) for records in held),
        name=first.method,
        heads=None if heads is None else str(heads),
    )


def _point(record: Record, older: int, published: bool) -> OperatingPoint:
    point = record.point
    known: dict[str, Any] = {
        "name": point.point,
        "seed": point.seed,
        "status": record.status,
        "budget": point.budget,
        "note": record.note,
        "reason": record.reason or "",
        "tuned": point.tuned or "",
        "version": _version(point),
        "other_code": made_by_other_code(point),
        "older": older,
        "published": published,
    }
    if record.status != "ok":
        return OperatingPoint(**known)
    metrics, table = record.metrics, record.per_exit
    known |= {
        "val_accuracy": record.val.get("accuracy", math.nan),
        "val_cost": record.val.get("macs_fraction", math.nan),
        "cal_accuracy": metrics.get("cal_accuracy", math.nan),
        "cal_cost": metrics.get("cal_macs_fraction", math.nan),
        "accuracy": metrics.get("accuracy", math.nan),
        "cost": metrics.get("macs_fraction", math.nan),
        "shares": tuple(float(line["share"]) for line in table),
        "exit_costs": tuple(line["macs"] / record.full_macs for line in table if "macs" in line),
        "exit_accuracy": tuple(float(line["accuracy_all"]) for line in table if "accuracy_all" in line),
    }
    if (point.kind, point.method) != ("reference", "oracle") and (outcomes := samples_of(record)) is not None:
        known |= {"correct": outcomes.correct, "exit_index": outcomes.exit_index.astype(np.int64)}
    return OperatingPoint(**known)


def _version(point: Point) -> str:
    """Return what identifies the code of a record: the version or, without one, the code; then those of its heads."""
    own = point.code.partition("-")[0] if point.version is None else str(point.version)
    return " ".join([own, *(f"{recipe}={version}" for recipe, version in sorted(point.heads.items()))])
