"""Records as a DataFrame: one row per operating point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.trials.accepted import made_by_other_code
from bench.trials.record import Point, Record
from bench.trials.stores import open_store

if TYPE_CHECKING:
    import pandas as pd


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read all records below a folder into one row per operating point, in a stable order.

    Scores are columns under their own names, scores on val are prefixed `val_`, timings end in `_seconds`; `per_exit`,
    `params` and `provenance` contain objects. With `outcomes`, a column of that name contains what
    `bench.trials.outcomes` unpacks (or None); by default it is left out, because it is most of a record. Raises
    UserError if the folder contains no records or a damaged one.
    """
    return frame_of(open_store(folder).records(), outcomes=outcomes)


def frame_of(records: Iterable[Record], *, outcomes: bool = False) -> pd.DataFrame:
    """Make the DataFrame of `load_records` from records."""
    import pandas as pd

    rows = [as_row(record) | ({"outcomes": record.outcomes} if outcomes else {}) for record in records]
    if not rows:
        return pd.DataFrame(
            columns=["id", "status", "dataset", "backbone", "method", "kind", "budget", "point", "seed"]
        )
    frame = pd.DataFrame(rows)
    keys = ["dataset", "backbone", "image_size", "bank_digest", "kind", "method", "budget", "point", "seed", "id"]
    return frame.sort_values(keys, kind="stable", na_position="first").reset_index(drop=True)


CELL = {
    "dataset": "dataset", "dataset_variant": "dataset_variant", "dataset_digest": "dataset_digest",
    "backbone": "backbone", "modality": "modality", "image_size": "image_size", "exit_names": "exit_names",
    "protocol": "protocol_version", "limit": "limit", "bank_digest": "bank_digest",
}  # fmt: skip
POINT = {
    "method": "label", "method_name": "method", "params": "params", "version": "version", "heads": "heads",
    "code": "code", "kind": "kind", "tuned": "tuned", "budget": "budget", "point": "point", "exit": "exit",
    "seed": "seed",
}  # fmt: skip
OWN = ("id", "status", "reason", "note", "full_macs", "per_exit", "provenance", "created", "outcomes")
DERIVED = ("num_exits", "other_code")


def as_row(record: Record) -> dict[str, Any]:
    """Flatten one record."""
    cell, point = record.cell, record.point
    return {
        **{name: getattr(record, name) for name in OWN[:4]},
        **{column: getattr(cell, field) for column, field in CELL.items()},
        "num_exits": len(cell.exit_names),
        **{column: getattr(point, field) for column, field in POINT.items()},
        "other_code": made_by_other_code(point),
        "full_macs": record.full_macs,
        **record.metrics,
        **{f"val_{k}": v for k, v in record.val.items()},
        **record.timings,
        "per_exit": record.per_exit,
        "provenance": record.provenance,
        "created": record.created,
    }


def records_of(frame: pd.DataFrame) -> list[Record]:
    """Return the records of a DataFrame of `frame_of` with outcomes, or of some of its rows.

    Raises UserError for a DataFrame without their columns; the curves of confidence (`reliability`) are not in it.
    """
    needed = [*CELL, *POINT, *OWN]
    if missing := [name for name in needed if name not in frame.columns]:
        raise UserError(
            f"The DataFrame has no column '{missing[0]}'. Give the folder of a store, or rows that `bench.evaluate`, "
            "`bench.run` or `bench.load_records(folder, outcomes=True)` returned, with all columns."
        )
    scores = [name for name in frame.columns if name not in needed and name not in DERIVED]
    return [_record(row, scores) for row in frame.to_dict("records")]


def _record(row: dict[Any, Any], scores: Sequence[str]) -> Record:
    known: dict[str, Any] = {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()
    }
    parts: dict[str, dict[str, float]] = {"metrics": {}, "val": {}, "timings": {}}
    for name in scores:
        if known[name] is not None:
            part = "val" if name.startswith("val_") else "timings" if name.endswith("_seconds") else "metrics"
            parts[part][name.removeprefix("val_") if part == "val" else name] = known[name]
    cell = Cell(**{field: known[column] for column, field in CELL.items()})
    point = Point(**{field: known[column] for column, field in POINT.items()})
    return Record.model_validate({"cell": cell, "point": point, **{name: known[name] for name in OWN}, **parts})
