"""Records of one setting as Arrow columns, and back, exact to the last bit."""

from __future__ import annotations

import json
import types
import typing
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.trials.record import Point, Record

Rows = list[dict[str, Any]]

MAPS = ("metrics", "val", "timings")  # name → number: one column per name, null where a record lacks it
TABLES = ("per_exit", "reliability")  # a few rows per record: one list column per key, null where a record lacks it
RELIABILITY = ("bin", "samples", "confidence", "accuracy")
ELSEWHERE = ("schema_version", "cell", "outcomes", "point")
REST = "json"  # column of a table's rows that do not fit into list columns
STORED_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def encode(records: Sequence[Record]) -> dict[str, pa.Array]:
    """Return the columns of some records, without their setting and outcomes, in a stable order of names."""
    found = {name: _plain([getattr(r, name) for r in records], kind) for name, kind in plain_fields(Record).items()}
    points = [record.point for record in records]
    for name, kind in plain_fields(Point).items():
        found[f"point.{name}"] = _plain([getattr(point, name) for point in points], kind)
    for field in MAPS:
        held = [getattr(record, field) for record in records]
        for key in _keys(held):
            found[f"{field}.{key}"] = pa.array([values.get(key) for values in held], pa.float64())
    for field in TABLES:
        for key, column in _lists([rows_of(record, field) for record in records]).items():
            found[f"{field}.{key}"] = column
    return found


def plain_fields(model: type[Record] | type[Point]) -> dict[str, pa.DataType | None]:
    """Return the fields of a model that are one column each, with their type; None for those stored as JSON."""
    skipped = {*ELSEWHERE, *MAPS, *TABLES} if model is Record else set()
    return {name: _type(field.annotation) for name, field in model.model_fields.items() if name not in skipped}


def _type(annotation: Any) -> pa.DataType | None:
    """Return the Arrow type of `int`, `float`, `str` and literal strings, or one of these and None."""
    options = [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
    kinds = {str if typing.get_origin(option) is typing.Literal else option for option in options}
    return STORED_TYPES.get(kinds.pop()) if len(kinds) == 1 else None


def _plain(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    return pa.array(map(dumps, values) if kind is None else values, kind or pa.string())


def dumps(value: Any) -> str:
    """Write a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rows_of(record: Record, field: str) -> Rows:
    """Return a table of a record as rows with keys."""
    held = getattr(record, field)
    return held if field == "per_exit" else [dict(zip(RELIABILITY, row, strict=True)) for row in held]


def _keys(held: Iterable[Iterable[str]]) -> list[str]:
    """Return all keys, in the order of their first appearance."""
    return list(dict.fromkeys(key for keys in held for key in keys))


def _lists(tables: list[Rows]) -> dict[str, pa.Array]:
    kinds = _kinds(tables)
    regular = [_is_regular(rows, kinds) for rows in tables]
    found = {}
    for key, kind in kinds.items():
        fits = (good and bool(rows) and key in rows[0] for rows, good in zip(tables, regular, strict=True))
        values = [[row[key] for row in rows] if fit else None for rows, fit in zip(tables, fits, strict=True)]
        found[key] = pa.array(values, pa.list_(STORED_TYPES[kind]))
    if not all(regular):
        rest = [None if good else dumps(rows) for rows, good in zip(tables, regular, strict=True)]
        found[REST] = pa.array(rest, pa.string())
    return found


def _kinds(tables: list[Rows]) -> dict[str, type]:
    """Return the most common type of every key that has one of the stored types."""
    counts: dict[str, Counter[type]] = {}
    for rows in tables:
        for row in rows:
            for key, value in row.items():
                counts.setdefault(key, Counter())[type(value)] += 1
    held = {key: [kind for kind, _ in count.most_common() if kind in STORED_TYPES] for key, count in counts.items()}
    return {key: kinds[0] if kinds else float for key, kinds in held.items() if key != REST}


def _is_regular(rows: Rows, kinds: dict[str, type]) -> bool:
    """Return whether all rows have the same keys, and nothing but None and values of the keys' types."""
    if not all(row and row.keys() == rows[0].keys() and row.keys() <= kinds.keys() for row in rows):
        return False
    return all(value is None or type(value) is kinds[key] for row in rows for key, value in row.items())


class FloatMaps:
    """The dictionaries `name → number` of all records, decoded from their columns."""

    def __init__(self, columns: dict[str, pa.Array], size: int) -> None:
        self.names = list(columns)
        self.values = np.empty((size, len(columns)))
        held = np.empty((size, len(columns)), bool)
        for k, column in enumerate(columns.values()):
            self.values[:, k] = column.to_numpy(zero_copy_only=False)
            held[:, k] = column.is_valid().to_numpy(zero_copy_only=False)
        packed = np.packbits(held, axis=1)
        seen: dict[bytes, tuple[list[str], np.ndarray | slice]] = {}
        self._present = []
        for row in range(size):
            key = packed[row].tobytes()
            if key not in seen:
                index = np.flatnonzero(held[row])
                every = len(index) == len(self.names)
                seen[key] = [self.names[k] for k in index], slice(None) if every else index
            self._present.append(seen[key])

    def of(self, row: int) -> dict[str, float]:
        """Return the dictionary of one record."""
        names, index = self._present[row]
        return dict(zip(names, self.values[row, index].tolist(), strict=True))


class Tables:
    """The small tables of all records, decoded from their list columns."""

    def __init__(self, columns: dict[str, pa.Array]) -> None:
        rest = columns.pop(REST, None)
        self._rest = {} if rest is None else {i: json.loads(t) for i, t in enumerate(rest.to_pylist()) if t is not None}
        self._columns = {key: _unpacked(column) for key, column in columns.items()}

    def of(self, row: int) -> Rows:
        """Return the rows of one record."""
        if row in self._rest:
            return [dict(line) for line in self._rest[row]]
        held = {key: column for key in self._columns if (column := self.column(row, key)) is not None}
        return [dict(zip(held, values, strict=True)) for values in zip(*held.values(), strict=True)]

    def column(self, row: int, key: str) -> list[Any] | None:
        """Return one key of all rows of a record, or None if the record lacks it."""
        values, starts, ends = self._columns[key]
        return values[starts[row] : ends[row]] if ends[row] >= 0 else None


def _unpacked(column: pa.ListArray) -> tuple[list[Any], list[int], list[int]]:
    """Return all values of a list column in one list, and where every record's begin and end; -1 for null."""
    flat = column.values
    values = flat.to_pylist() if pa.types.is_string(flat.type) else _numbers(flat)
    offsets = column.offsets.to_numpy()
    ends = np.where(column.is_valid().to_numpy(zero_copy_only=False), offsets[1:], -1)
    return values, offsets[:-1].tolist(), ends.tolist()


def _numbers(flat: pa.Array) -> list[Any]:
    filled = flat.fill_null(0)
    values: list[Any] = filled.to_numpy(zero_copy_only=False).tolist()
    for k in np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False)).tolist():
        values[k] = None
    return values
