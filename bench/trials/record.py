"""The record: everything known about one operating point. The models below are the schema of the stores."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.bank.cell import Cell

SCHEMA_VERSION = 3  # 3 replaced a digest of source files by versions and a digest of code, and added `exit`

LARGEST = 10**15  # number that a record may contain

NEVER_EMPTY = ("share", "macs", "accuracy_all")  # columns of per_exit that hold a number in every row

Status = Literal["ok", "infeasible", "failed", "timeout"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(_Model):
    """Which operating point of which method. With the cell it determines the record's id: see `record_id`."""

    kind: Literal["method", "reference"]
    method: str = Field(description="registered name")
    label: str = Field(description="name[param=value,…] with the parameters that differ from their defaults")
    params: dict[str, Any] = Field(description="all parameters, defaults included")
    version: int | None = Field(
        description="raised by the author when numbers may change; None: the id contains the method's code instead"
    )
    heads: dict[str, int | str] = Field(
        description="head recipe, and the ones that it is based on: its version, or its code where it states none"
    )
    code: str = Field(description="digests of the code of the method and of each head recipe, joined by '-'")
    point: str = Field(description="'budget=0.5', 'exit=3' or 'oracle': a name to show")
    budget: float | None = Field(description="fraction of the plain backbone's MACs; None for static and oracle")
    exit: int | None = Field(default=None, description="of a static exit")
    seed: int
    tuned: Literal["tuned", "defaults"] | None = Field(
        default=None,
        description="what `bench tune` kept for the method if the run asked for it; not part of the id, but params are",
    )


class PackedOutcomes(_Model):
    """Correctness and exit of every test sample; `bench.trials.outcomes` packs and unpacks it."""

    samples: int
    correct: str = Field(description="one bit per sample (np.packbits), zlib, base64")
    exit_index: str = Field(description="one unsigned number per sample, zlib, base64")
    exit_type: Literal["u1", "<u2"] = Field(description="NumPy type of these numbers")


class Record(_Model):
    """One operating point with its status, scores, per-exit table, timings and provenance."""

    schema_version: int = SCHEMA_VERSION
    id: str
    status: Status
    reason: str | None = Field(default=None, description="why the status is not ok")
    note: str = Field(default="", description="a limit that the method reports, e.g. 'unreachable: …'")
    cell: Cell
    point: Point
    full_macs: int = Field(description="MACs of the plain backbone, its own head included")
    metrics: dict[str, float] = Field(default_factory=dict, description="scores on test; see bench.metrics")
    val: dict[str, float] = Field(default_factory=dict, description="accuracy, macs and macs_fraction on val")
    per_exit: list[dict[str, Any]] = Field(default_factory=list)
    outcomes: PackedOutcomes | None = Field(default=None, description="per test sample; None if no policy was run")
    reliability: list[tuple[int, int, float, float]] = Field(
        default_factory=list,
        description="on test, per bin of equal width: its number, samples, mean confidence, accuracy",
    )
    timings: dict[str, float] = Field(default_factory=dict, description="seconds")
    provenance: dict[str, Any] = Field(default_factory=dict)
    created: str = Field(description="UTC, ISO 8601")


def contradiction(record: Record) -> str | None:
    """Return the contradiction in a record that fits the schema, or None."""
    exits = range(len(record.cell.exit_names))
    numbered = [row.get("exit") for row in record.per_exit]
    values = [value for row in record.per_exit for key, value in row.items() if key not in ("exit", "name")]
    numbers = [*record.metrics.values(), *record.val.values(), *record.timings.values(), *values]
    numbers += [record.full_macs, record.point.seed, record.point.budget, record.cell.image_size, record.cell.limit]
    if not all(type(k) is int and k in exits for k in numbered) or len(set(numbered)) < len(numbered):
        return "per_exit does not number its exits"
    full = len(exits) if record.status == "ok" and record.point.kind == "method" else len(numbered)
    if len(numbered) not in (0, full) or any(row.get(key, 0) is None for row in record.per_exit for key in NEVER_EMPTY):
        return "per_exit lacks exits or values"
    if not all("share" in row for row in record.per_exit):
        return "per_exit lacks the share of samples"
    if record.point.exit is not None and record.point.exit not in exits:
        return f"it has no exit {record.point.exit}"
    if not all(n is None or (type(n) in (int, float) and abs(n) <= LARGEST) for n in numbers):
        return "it has a value that is not a number, or a number that is too large"
    if record.full_macs < 1 or (record.outcomes and not 0 <= record.outcomes.samples <= LARGEST):
        return "its MACs or its samples are not counts"
    return None


def record_id(cell: Cell, point: Point) -> str:
    """Hash what determines an operating point: bank, protocol, method, version, parameters, heads, point and seed.

    Where the method has no version, its code takes the place of one.
    """
    parts = {
        "bank": cell.bank_digest,
        "protocol": cell.protocol_version,
        "method": point.method,
        "version": point.version,
        "params": point.params,
        "heads": point.heads,
        "point": point.point,
        "seed": point.seed,
    }
    if point.version is None:
        parts["code"] = point.code.partition("-")[0]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def without_result(
    cell: Cell, point: Point, full_macs: int, provenance: dict[str, Any], status: Status, reason: str
) -> Record:
    """Return the record of an operating point without scores, with the reason."""
    return Record(
        id=record_id(cell, point),
        status=status,
        reason=reason,
        cell=cell,
        point=point,
        full_macs=full_macs,
        provenance=provenance,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
