"""Per-sample outcomes of one setting as an Arrow table, and back.

Correctness is stored once per seed for all points whose heads agree: which exits are right, for every test sample. The
exits of a point are stored in an order in which they hardly vary: sorted by the exits of the same trial's previous
point, then by the mean exits of the same point at earlier seeds. Readers have decoded both before they reach the point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.trials.outcomes import SampleOutcomes
from bench.trials.record import Point

LEVELS = 20  # per exit; the mean exit is rounded down to one of them
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "kind": pa.string(),
        "label": pa.string(),
        "seed": pa.int64(),
        "point": pa.string(),
        "samples": pa.int64(),
        "exits": pa.binary(),  # one or two bytes per sample
        "table": pa.int64(),  # number of its table of correctness, in order of their appearance
        "correct": pa.binary(),  # where a table appears first: [K, N] bits
    }
)
Exits = NDArray[np.uint16]


class _Table:
    """Which exits are right, for every sample of a seed; -1 where no point shows it."""

    def __init__(self, number: int, samples: int) -> None:
        self.number = number
        self.known = np.full((samples, 1), -1, np.int8)

    def accepts(self, exits: Exits, correct: NDArray[np.bool_]) -> bool:
        """Add a point unless it contradicts another one; return whether it was added."""
        lacking = int(exits.max(initial=0)) + 1 - self.known.shape[1]
        if lacking > 0:
            self.known = np.pad(self.known, ((0, 0), (0, lacking)), constant_values=-1)
        rows = np.arange(len(exits))
        held = self.known[rows, exits]
        if ((held >= 0) & (held != correct)).any():
            return False
        self.known[rows, exits] = correct
        return True


class _Order:
    """The order in which the exits of a point are stored; points come trial by trial, seed by seed."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], tuple[NDArray[np.int64], int]] = {}
        self._trial: tuple[int, int] | None = None
        self._last: Exits = np.zeros(0, np.uint16)

    def of(self, seed: int, point: str, samples: int) -> NDArray[np.intp]:
        """Return the permutation of a point's samples."""
        if self._trial != (seed, samples):
            self._trial, self._last = (seed, samples), np.zeros(samples, np.uint16)
        if (point, samples) not in self._sums:
            return np.argsort(self._last, kind="stable")
        total, seeds = self._sums[point, samples]
        mean = total * LEVELS // seeds
        key = self._last.astype(np.int64) * (int(mean.max(initial=0)) + 1) + mean
        small = key.max(initial=0) <= np.iinfo(np.uint16).max  # NumPy sorts 16-bit keys in linear time
        return np.argsort(key.astype(np.uint16) if small else key, kind="stable")

    def add(self, point: str, exits: Exits) -> None:
        """Record a point's exits."""
        total, seeds = self._sums.get((point, len(exits)), (np.zeros(len(exits), np.int64), 0))
        self._sums[point, len(exits)] = total + exits, seeds + 1
        self._last = exits


def to_table(held: Sequence[tuple[str, Point, SampleOutcomes]]) -> pa.Table:
    """Return the table of the outcomes of records, given with their ids and points, in any order."""
    in_order = sorted(held, key=lambda one: _key(one[1], one[0]))
    rows: list[dict[str, Any]] = []
    tables: dict[tuple[int, int], list[_Table]] = {}
    owners: list[tuple[dict[str, Any], _Table]] = []
    group, order = None, _Order()
    for name, point, (correct, exit_index) in in_order:
        if group != (point.kind, point.label):
            group, order = (point.kind, point.label), _Order()
        exits = np.asarray(exit_index).astype(np.uint16)
        stored = exits[order.of(point.seed, point.point, len(exits))]
        order.add(point.point, exits)
        row = {"id": name, "kind": point.kind, "label": point.label, "seed": point.seed, "point": point.point}
        row |= {"samples": len(exits), "exits": stored.astype("<u2" if exits.max(initial=0) > 255 else "u1").tobytes()}
        own = tables.setdefault((point.seed, len(exits)), [])
        table = next((table for table in own if table.accepts(exits, correct)), None)
        if table is None:
            table = _Table(len(owners), len(exits))
            table.accepts(exits, correct)
            own.append(table)
            owners.append((row, table))
        row["table"] = table.number
        rows.append(row)
    for row, table in owners:
        row["correct"] = np.packbits(table.known.T > 0, axis=1).tobytes()
    return pa.Table.from_pylist(rows, SCHEMA)


def _key(point: Point, name: str) -> tuple[Any, ...]:
    return point.kind, point.label, point.seed, -1.0 if point.budget is None else point.budget, point.point, name


class SampleTable:
    """The outcomes of a setting, decoded method by method when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._columns = {name: table.column(name).to_pylist() for name in SCHEMA.names if name not in ("exits",)}
        self._exits = table.column("exits").combine_chunks() if len(table) else []
        self._row = {name: row for row, name in enumerate(self._columns["id"])}
        self._owners = [row for row, bits in enumerate(self._columns["correct"]) if bits is not None]
        self._decoded: dict[int, Exits] = {}
        self._tables: dict[int, NDArray[np.bool_]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def of(self, name: str) -> SampleOutcomes:
        """Return the outcomes of a record."""
        row = self._row[name]
        if row not in self._decoded:
            self._decoded |= self._group(row)
        exits, right = self._decoded[row], self._table(self._columns["table"][row])
        return SampleOutcomes(right[np.arange(len(exits)), exits], exits.astype(np.int16))

    def _group(self, row: int) -> Iterator[tuple[int, Exits]]:
        kinds, labels = self._columns["kind"], self._columns["label"]
        first, last = row, row + 1
        while first > 0 and (kinds[first - 1], labels[first - 1]) == (kinds[row], labels[row]):
            first -= 1
        while last < len(kinds) and (kinds[last], labels[last]) == (kinds[row], labels[row]):
            last += 1
        order = _Order()
        for k in range(first, last):
            samples, point = self._columns["samples"][k], self._columns["point"][k]
            stored = self._numbers(k, samples)
            exits = np.empty(samples, np.uint16)
            exits[order.of(self._columns["seed"][k], point, samples)] = stored
            order.add(point, exits)
            yield k, exits

    def _numbers(self, row: int, samples: int) -> NDArray[Any]:
        content = self._exits[row].as_buffer()
        return np.frombuffer(content, "<u2" if content.size > samples else "u1")

    def _table(self, number: int) -> NDArray[np.bool_]:
        if number not in self._tables:
            row = self._owners[number]
            samples = self._columns["samples"][row]
            bits = np.frombuffer(self._columns["correct"][row], np.uint8).reshape(-1, (samples + 7) // 8 or 1)
            self._tables[number] = np.unpackbits(bits, axis=1, count=samples).T.astype(bool)
        return self._tables[number]
