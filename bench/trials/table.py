"""Records as a DataFrame: one row per operating point."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.trials.accepted import made_by_other_code
from bench.trials.record import Record
from bench.trials.stores import open_store

if TYPE_CHECKING:
    import pandas as pd


def load_records(folder: str | Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read all records below a folder into one row per operating point, in a stable order.

    Scores are columns under their own names, scores on val are prefixed `val_`, timings end in `_seconds`; `per_exit`,
    `params` and `provenance` hold objects. With `outcomes`, a column of that name holds what `bench.trials.outcomes`
    unpacks (or None); it is left out unless asked for, being the bulk of a record. Raises UserError if the folder
    contains no records or a damaged one.
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


def as_row(record: Record) -> dict[str, Any]:
    """Flatten one record."""
    cell, point = record.cell, record.point
    return {
        "id": record.id,
        "status": record.status,
        "reason": record.reason,
        "note": record.note,
        "dataset": cell.dataset,
        "dataset_variant": cell.dataset_variant,
        "backbone": cell.backbone,
        "modality": cell.modality,
        "image_size": cell.image_size,
        "num_exits": len(cell.exit_names),
        "exit_names": cell.exit_names,
        "protocol": cell.protocol_version,
        "limit": cell.limit,
        "bank_digest": cell.bank_digest,
        "method": point.label,
        "method_name": point.method,
        "params": point.params,
        "version": point.version,
        "heads": point.heads,
        "code": point.code,
        "other_code": made_by_other_code(point),
        "kind": point.kind,
        "tuned": point.tuned,
        "budget": point.budget,
        "point": point.point,
        "exit": point.exit,
        "seed": point.seed,
        "full_macs": record.full_macs,
        **record.metrics,
        **{f"val_{k}": v for k, v in record.val.items()},
        **record.timings,
        "per_exit": record.per_exit,
        "provenance": record.provenance,
        "created": record.created,
    }
