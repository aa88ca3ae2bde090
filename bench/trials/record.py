"""The record: everything known about one operating point. The models below are the schema of `results/**/*.json`."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.bank.cell import Cell

SCHEMA_VERSION = 2  # 2 added `outcomes` and `reliability`; all else is as it was
READABLE = (1, 2)

Status = Literal["ok", "infeasible", "failed", "timeout"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(_Model):
    """Which operating point of which method: all that, with the cell, determines the record's id."""

    kind: Literal["method", "reference"]
    method: str = Field(description="registered name")
    label: str = Field(description="name[param=value,…] with the parameters that differ from their defaults")
    params: dict[str, Any] = Field(description="all parameters, defaults included")
    source_digest: str = Field(description="digest of the source that makes the method")
    point: str = Field(description="'budget=0.5', 'exit=3' or 'oracle'")
    budget: float | None = Field(description="fraction of the plain backbone's MACs; None for static and oracle")
    seed: int
    tuned: Literal["tuned", "defaults"] | None = Field(
        default=None,
        description="what `bench tune` kept for the method where the run asked for it; no part of the id, params are",
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
    note: str = Field(default="", description="a limit that the method reports of itself, e.g. 'unreachable: …'")
    cell: Cell
    point: Point
    full_macs: int = Field(description="MACs of the plain backbone, its own head included")
    metrics: dict[str, float] = Field(default_factory=dict, description="scores on test; see bench.metrics")
    val: dict[str, float] = Field(default_factory=dict, description="accuracy, macs and macs_fraction on val")
    per_exit: list[dict[str, Any]] = Field(default_factory=list)
    outcomes: PackedOutcomes | None = Field(default=None, description="per test sample; None where nothing was played")
    reliability: list[tuple[int, int, float, float]] = Field(
        default_factory=list,
        description="on test, per bin of equal width: its number, samples, mean confidence, accuracy",
    )
    timings: dict[str, float] = Field(default_factory=dict, description="seconds")
    provenance: dict[str, Any] = Field(default_factory=dict)
    created: str = Field(description="UTC, ISO 8601")


def record_id(cell: Cell, point: Point) -> str:
    """Hash what determines an operating point: method, parameters, source, bank, point, seed, protocol."""
    parts = {
        "bank": cell.bank_digest,
        "protocol": cell.protocol_version,
        "method": point.method,
        "params": point.params,
        "source": point.source_digest,
        "point": point.point,
        "seed": point.seed,
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def without_result(
    cell: Cell, point: Point, full_macs: int, provenance: dict[str, Any], status: Status, reason: str
) -> Record:
    """Return the record of an operating point that was not reached, and why."""
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
