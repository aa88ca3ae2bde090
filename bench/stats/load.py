"""From the records of one cell to the arrays of its statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from bench.stats.data import CellData, Entry, OperatingPoint

if TYPE_CHECKING:
    import pandas as pd

    from bench.trials.record import Record

Outcomes = tuple[NDArray[Any], NDArray[Any]]  # correct [N] bool, exit_index [N] int
Unpack = Callable[[Any], Outcomes | None]
CELL = ("dataset", "dataset_variant", "backbone", "image_size", "protocol", "limit", "num_exits", "bank_digest")


def from_frame(frame: pd.DataFrame, unpack: Unpack | None = None) -> CellData:
    """Return the data of a cell from its rows of `bench.load_records`; `unpack` gives a row's outcomes, or None."""
    return from_rows(frame.to_dict("records"), unpack)


def from_records(records: Iterable[Record], unpack: Unpack | None = None) -> CellData:
    """Return the data of a cell from its records; `unpack` gives a record's outcomes, or None where it has none."""
    from bench.trials.table import as_row

    held = list(records)
    known = {record.id: record for record in held}

    def read(row: Mapping[Any, Any]) -> Outcomes | None:
        record = known[row["id"]]
        return unpack(record) if unpack and getattr(record, "outcomes", record) is not None else None

    return from_rows([as_row(record) for record in held], read)


def from_rows(rows: Iterable[Mapping[Any, Any]], unpack: Unpack | None = None) -> CellData:
    """Return the data of a cell from flat rows in any order; of several records of a point and seed the newest counts.

    Only points with status ok of methods and static exits are unpacked, and of rows with a column `outcomes` those that
    hold some. Raises UserError where there is no row, or rows
    of several cells.
    """
    rows = sorted(rows, key=lambda row: (str(row.get("created", "")), str(row["id"])))
    if not rows:
        raise UserError("There are no records to make statistics of. Run `bench run` first.")
    cells = {tuple(_plain(row.get(key)) for key in CELL) for row in rows}
    if len(cells) > 1:
        raise UserError(f"These records belong to {len(cells)} cells; give those of one dataset, backbone and bank.")
    entries = _entries(rows, unpack)
    first = {key: _plain(rows[0].get(key)) for key in (*CELL, "dataset_digest")}
    methods = tuple(entry for (kind, _), entry in sorted(entries.items()) if kind == "method")
    none = Entry("", ())
    return CellData(
        dataset=str(first["dataset"]),
        backbone=str(first["backbone"]),
        methods=methods,
        static=entries.get(("reference", "static"), none),
        oracle=entries.get(("reference", "oracle"), none),
        num_exits=int(first["num_exits"] or 0),
        variant=first["dataset_variant"],
        protocol=str(first["protocol"] or "v1"),
        limit=None if first["limit"] is None else int(first["limit"]),
        image_size=None if first["image_size"] is None else int(first["image_size"]),
        test_set="|".join(str(first[k]) for k in ("dataset", "dataset_variant", "protocol", "limit")),
    )


def _entries(rows: Iterable[Mapping[Any, Any]], unpack: Unpack | None) -> dict[tuple[str, str], Entry]:
    newest: dict[tuple[str, str], dict[tuple[str, int], list[Mapping[Any, Any]]]] = {}
    for row in rows:
        kind, label = str(row["kind"]), str(row["method"])
        if kind == "method" or label in ("static", "oracle"):
            newest.setdefault((kind, label), {}).setdefault((str(row["point"]), int(row["seed"])), []).append(row)
    found = {}
    for (kind, label), points in newest.items():
        last = [(held[-1], len(held) - 1) for _, held in sorted(points.items(), key=lambda item: item[0])]
        wanted = unpack if label != "oracle" else None
        params = last[0][0].get("params")
        heads = params.get("heads") if isinstance(params, Mapping) else None
        found[kind, label] = Entry(
            label=label,
            points=tuple(_point(row, older, wanted) for row, older in last),
            name=str(last[0][0].get("method_name", label)),
            heads=None if heads is None else str(heads),
        )
    return found


def _point(row: Mapping[Any, Any], older: int, unpack: Unpack | None) -> OperatingPoint:
    budget = _plain(row.get("budget"))
    known: dict[str, Any] = {
        "name": str(row["point"]),
        "seed": int(row["seed"]),
        "status": str(row["status"]),
        "budget": None if budget is None else float(budget),
        "note": str(_plain(row.get("note")) or ""),
        "reason": str(_plain(row.get("reason")) or ""),
        "tuned": str(_plain(row.get("tuned")) or ""),
        "version": _version(row),
        "other_code": bool(row.get("other_code", False)),
        "older": older,
    }
    if row["status"] != "ok":
        return OperatingPoint(**known)
    table = row.get("per_exit")
    table = table if isinstance(table, list) else []
    known |= {
        "val_accuracy": _number(row.get("val_accuracy")),
        "val_cost": _number(row.get("val_macs_fraction")),
        "cal_accuracy": _number(row.get("cal_accuracy")),
        "cal_cost": _number(row.get("cal_macs_fraction")),
        "accuracy": _number(row.get("accuracy")),
        "cost": _number(row.get("macs_fraction")),
        "shares": tuple(float(line["share"]) for line in table),
        "exit_costs": tuple(line["macs"] / row["full_macs"] for line in table if "macs" in line),
        "exit_accuracy": tuple(float(line["accuracy_all"]) for line in table if "accuracy_all" in line),
    }
    held = "outcomes" not in row or _plain(row["outcomes"]) is not None
    outcomes = unpack(row) if unpack is not None and held else None
    if outcomes is not None:
        known |= {"correct": np.asarray(outcomes[0], bool), "exit_index": np.asarray(outcomes[1], np.int64)}
    return OperatingPoint(**known)


def _version(row: Mapping[Any, Any]) -> str:
    """Return what identifies the code of a row: the version or, without one, the code; then those of its heads."""
    version, heads = _plain(row.get("version")), row.get("heads")
    own = str(row.get("code", "")).partition("-")[0] if version is None else f"{version:g}"
    return " ".join([own, *(f"{k}={v}" for k, v in sorted(heads.items()))] if isinstance(heads, Mapping) else [own])


def _number(value: Any) -> float:
    found = _plain(value)
    return math.nan if found is None else float(found)


def _plain(value: Any) -> Any:
    """Return None for what a frame has where nothing is."""
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    ):
        return None
    return value
