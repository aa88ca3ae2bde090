"""Times of fitting, inference and scoring, and the machines they were measured on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from bench.report.context import CellReport
from bench.report.formats.table import Column, Table, Value
from bench.report.tables.words import FLAGS, caption, flagged, seeds
from bench.stats.bootstrap import Estimate
from bench.stats.flags import Flag
from bench.trials.record import Record

TIMES = ("fit_seconds", "play_seconds", "score_seconds")
COLUMNS = (
    Column("method", "Method"),
    Column("fit_seconds", "Fit, s", 2, interval=True, note="one fit of all budgets, per seed"),
    Column("play_seconds", "Inference, s", 2, interval=True, note="one operating point on cal and test"),
    Column("score_seconds", "Score, s", 2, interval=True, note="all scores of one operating point"),
    Column("points", "Points", note="operating points that were timed, over all seeds"),
    Column("hardware", "Hardware", data=True),
    *FLAGS,
)


def timing(report: CellReport) -> Table | None:
    """Return methods by name with seconds, mean over seeds; None if no record has timings."""
    cell = report.statistics
    timed = [r for r in report.newest if r.point.kind == "method" and r.status == "ok" and r.timings]
    if not timed:
        return None
    machines = sorted({hardware(record.provenance) for record in timed})
    rows: list[dict[str, Value]] = []
    for method in sorted(cell.methods, key=lambda m: m.label):
        mine = [record for record in timed if record.point.label == method.label]
        used = sorted({hardware(record.provenance) for record in mine})
        mixed = [Flag("note", "hardware mixed")] if len(used) > 1 else []
        known: dict[str, Value] = {name: _seconds(mine, name) for name in TIMES}
        known |= {"method": method.label, "points": len(mine), "hardware": " / ".join(used)}
        gaps = [m for m in method.flags if m.kind in ("not run", "failed", "timeout", "older", "versions")]
        rows.append(known | flagged(cell, [*mixed, *gaps]))
    where = (
        f"Measured on {machines[0]}"
        if len(machines) == 1
        else f"Measured on {len(machines)} machines ({'; '.join(machines)}), which the data files name"
    )
    text = caption(
        cell,
        f"{where}. Seconds, mean over {seeds(cell)}; brackets are the lowest and highest mean of a seed. Not part of "
        "any comparison.",
        "Fit: one training run, which serves all budgets of a seed. Inference and scoring: one operating point. "
        "Features come from the bank: no pass through the backbone is counted.",
    )
    return Table("timing", "Time", COLUMNS, rows, text)


def _seconds(records: Iterable[Record], name: str) -> Estimate | None:
    """Return the mean over seeds of each seed's mean over points, with the lowest and highest of these."""
    by_seed: dict[int, list[float]] = {}
    for record in records:
        if name in record.timings:
            by_seed.setdefault(record.point.seed, []).append(record.timings[name])
    means = {seed: math.fsum(sorted(v)) / len(v) for seed, v in sorted(by_seed.items())}
    if not means:
        return None
    v = list(means.values())
    return Estimate(math.fsum(v) / len(v), min(v), max(v), math.nan, math.nan, math.nan, tuple(means))


def hardware(provenance: Mapping[str, object]) -> str:
    """Return the hardware of a record as text: processor, device and threads."""
    cpu, device = str(provenance.get("cpu") or "an unknown processor"), str(provenance.get("device") or "cpu")
    threads = provenance.get("threads")
    count = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    return f"{cpu}{'' if device == 'cpu' else f' with {device}'}{count}"
