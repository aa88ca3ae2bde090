"""A table as Parquet, with typed columns."""

from __future__ import annotations

import io

from bench.report.formats.data import Plain, columns
from bench.report.formats.table import Table


def render(table: Table) -> bytes:
    """Return the columns of `bench.report.formats.data` as Parquet; the metadata have the title and caption."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = columns(table)
    arrays = [_array(pa, values) for values in held.values()]
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(held, arrays, strict=True)],
        metadata={"title": table.title, "caption": table.caption},
    )
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd")
    return out.getvalue()


def _array(pa, values: list[Plain]):  # type: ignore[no-untyped-def]
    known = {type(v) for v in values if v is not None}
    if str in known:
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    if known == {int}:
        return pa.array(values, pa.int64())
    return pa.array([None if v is None else float(v) for v in values], pa.float64())
