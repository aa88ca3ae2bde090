"""The two Parquet files of one published setting, and its records."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.trials.columns import MAPS, RELIABILITY, FloatMaps, Tables, encode, plain_fields
from bench.trials.derived import drop, restore
from bench.trials.record import SCHEMA_VERSION, Point, Record
from bench.trials.sample_table import SampleTable, to_table
from bench.trials.stored import SAMPLES, StoredRecord, samples_of

KEY = "exitbench"
SIZE = 1 << 28  # bytes and rows that no file of a setting reaches: one row group, one page per column

REMEDY = "Restore both files from version control, or delete them and run `bench publish` again."


def write_sheet(cell: Cell, records: Sequence[Record]) -> tuple[bytes, bytes]:
    """Return the content of both files. The same records give the same bytes, in any order."""
    in_order = sorted(records, key=_order)
    samples = {r.id: found for r in in_order if (found := samples_of(r)) is not None}
    sizes = {len(found.correct) for found in samples.values()}
    size = sizes.pop() if len(sizes) == 1 else None
    columns = encode(in_order)
    columns["samples"] = pa.array(
        [len(samples[r.id].correct) if r.id in samples else None for r in in_order], pa.int64()
    )
    kept, rules = drop(columns, size)
    about = {
        "schema_version": SCHEMA_VERSION,
        "cell": cell.model_dump(mode="json"),
        "samples": size,
        "columns": list(columns),
        "derived": rules,
    }
    outcomes = to_table([(r.id, r.point, samples[r.id]) for r in in_order if r.id in samples])
    return _written(pa.table(kept), about), _written(outcomes, {"schema_version": SCHEMA_VERSION})


def _order(record: Record) -> tuple[Any, ...]:
    p = record.point
    return p.kind, p.label, -1.0 if p.budget is None else p.budget, p.point, p.seed, record.id


def _written(table: pa.Table, about: dict[str, Any]) -> bytes:
    text = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    file = io.BytesIO()
    with pq.ParquetWriter(
        file,
        table.schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=19,
        data_page_size=SIZE,
        dictionary_pagesize_limit=SIZE,
        use_dictionary=[name for name in table.column_names if table.schema.field(name).type == pa.string()],
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=SIZE)
        writer.add_key_value_metadata({KEY: text})
    return file.getvalue()


class Sheet:
    """One published setting as it was read; its columns are decoded when a record needs them."""

    def __init__(self, scores: bytes, outcomes: bytes, where: str) -> None:
        self._where = where
        self._scores, about = _opened(scores, where)
        self._outcomes = outcomes
        with _whole(where):
            self._rules, self._all, self._samples = about["derived"], about["columns"], about["samples"]
            self.cell = Cell.model_validate(about["cell"])
            self._size = self._scores.metadata.num_rows
        self._decoded: dict[str, Any] = {}

    def records(self) -> list[Record]:
        """Return all records in their stored order."""
        with _whole(self._where):
            return self._records()

    def _records(self) -> list[Record]:
        fields = list(zip(*self._plain(Record, ""), strict=True)) or [()] * self._size
        points = list(zip(*self._plain(Point, "point."), strict=True))
        names, of_point = list(plain_fields(Record)), list(plain_fields(Point))
        return [
            StoredRecord.make(
                {
                    "schema_version": SCHEMA_VERSION,
                    "cell": self.cell,
                    "point": Point.model_construct(**dict(zip(of_point, points[row], strict=True))),
                    **dict(zip(names, fields[row], strict=True)),
                },
                self._field,
                row,
            )
            for row in range(self._size)
        ]

    def _plain(self, model: type[Record] | type[Point], start: str) -> Iterator[list[Any]]:
        kinds = {f"{start}{name}": kind for name, kind in plain_fields(model).items()}
        table = self._read(list(kinds))
        for name, kind in kinds.items():
            column = table[name].dictionary_encode()
            values = column.dictionary.to_pylist()
            known = [json.loads(value) for value in values] if kind is None else values
            yield [None if k is None else known[k] for k in column.indices.to_pylist()]

    def _read(self, names: list[str]) -> dict[str, pa.Array]:
        table = self._scores.read(names, use_threads=False)
        return {name: table.column(name).combine_chunks() for name in names}

    def _field(self, field: str, row: int) -> Any:
        """Return a field of MAPS or TABLES of one record, or its per-sample outcomes."""
        with _whole(self._where):
            return self._value(field, row)

    def _value(self, field: str, row: int) -> Any:
        if field not in self._decoded:
            self._decoded[field] = self._decode(field)
        held = self._decoded[field]
        if field == SAMPLES:
            name = held[0][row]
            return held[1].of(name) if name is not None else None
        found = held.of(row)
        return [tuple(line[key] for key in RELIABILITY) for line in found] if field == "reliability" else found

    def _decode(self, field: str) -> Any:
        if field == SAMPLES:
            return self._sample_table()
        columns = self._columns(field)
        return FloatMaps(columns, self._size) if field in MAPS else Tables(columns)

    def _columns(self, field: str) -> dict[str, pa.Array]:
        """Return the columns of a field, including those that are not stored, by their names in the field."""
        start = f"{field}."
        rules = {name: rule for name, rule in self._rules.items() if name.startswith(start)}
        order = [name for name in self._all if name.startswith(start)]
        others = {rule[key] for rule in rules.values() for key in ("copy", "where", "of") if key in rule}
        stored = [name for name in self._all if name not in self._rules and (name in order or name in others)]
        found = restore(self._read(stored), rules, order, self._samples)
        return {name.removeprefix(start): column for name, column in found.items()}

    def _sample_table(self) -> tuple[list[str | None], SampleTable]:
        file, _ = _opened(self._outcomes, self._where)
        table = SampleTable(file.read(use_threads=False))
        columns = self._read(["id", "samples"])
        held = zip(columns["id"].to_pylist(), columns["samples"].to_pylist(), strict=True)
        names = [None if samples is None else name for name, samples in held]
        if not all(name is None or name in table for name in names):
            raise UserError(f"The files in '{self._where}' do not belong together. {REMEDY}")
        return names, table


@contextmanager
def _whole(where: str) -> Iterator[None]:
    """Turn any exception from damaged files into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        problem = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"The published records in '{where}' are damaged ({problem}). {REMEDY}") from None


def _opened(content: bytes, where: str) -> tuple[pq.ParquetFile, dict[str, Any]]:
    with _whole(where):
        file = pq.ParquetFile(pa.BufferReader(content))
        about = json.loads((file.metadata.metadata or {})[KEY.encode()])
        version = about["schema_version"]
    if version != SCHEMA_VERSION:
        raise UserError(
            f"The records in '{where}' are of schema {version}; this version reads schema {SCHEMA_VERSION}. "
            "Use the version of exitbench that published them."
        )
    return file, about
