"""Stores of pixels: arrays in memory, Arrow columns of encoded images, image files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets import digests
from bench.datasets.decode import decode, lossy
from bench.errors import UserError
from bench.system.files import read_regular

MOST_BYTES = 1 << 30  # per image file
SAMPLES = 64  # images inspected to recognise the encoding of a dataset


@dataclass(frozen=True, eq=False)
class ArrayStore:
    """Images of one size: uint8 [N, H, W] or [N, H, W, 3], loaded when first read."""

    load: Callable[[], np.ndarray]
    files: tuple[Path, ...] = ()

    @cached_property
    def images(self) -> np.ndarray:
        """The array itself."""
        return self.load()

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Return the images of these rows: uint8 [H, W, 3] each."""
        block = self.images[np.asarray(rows, dtype=np.int64)]
        return list(np.repeat(block[..., None], 3, axis=3) if block.ndim == 3 else block)

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files that the array came from."""
        return digests.files(self.files) if self.files else None

    def encoding(self) -> str | None:
        """Return None: raw arrays are not encoded."""
        return None


@dataclass(frozen=True, eq=False)
class ArrowStore:
    """Encoded images in Arrow columns (bytes, or the hub's struct of bytes and path), opened when first read."""

    open: Callable[[], Sequence[pa.ChunkedArray]]
    files: tuple[Path, ...]
    name: str  # of the column
    where: tuple[str, ...]  # where each column comes from, for messages: "split 'test' of 'hf:pets'"

    @cached_property
    def columns(self) -> Sequence[pa.ChunkedArray]:
        """The column of each split or file."""
        return [sound(column, where) for column, where in zip(self.open(), self.where, strict=True)]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(column) for column in self.columns])

    def _find(self, row: int) -> tuple[int, int]:
        """Return the column of an image, and its row there."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        return part, row - (int(self._ends[part - 1]) if part else 0)

    def encoded(self, row: int) -> bytes:
        """Return the file content of one row's image."""
        part, position = self._find(row)
        value = self.columns[part][position].as_py()
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if data is None and path:
            return read_file(Path(path))
        if data is None:
            raise UserError(f"{self._place(row)} has no image. Remove that row.")
        return data

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode the images of these rows: uint8 [H, W, 3] each."""
        return [decode(self.encoded(int(row)), self._place(int(row))) for row in rows]

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files and the column."""
        return digests.files(self.files, self.name) if self.files else None

    def encoding(self) -> str | None:
        """Return the lossy encoding among a spread of rows."""
        rows = np.unique(np.linspace(0, self._ends[-1] - 1, SAMPLES).astype(np.int64))
        return lossy(self.encoded(int(row)) for row in rows)

    def _place(self, row: int) -> str:
        part, position = self._find(row)
        return f"Row {position} of {self.where[part]} (column '{self.name}')"


def sound(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Return a column of an Arrow file after checking its offsets; a false offset would crash the process."""
    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        raise UserError(f"The tables of {where} are damaged ({str(error).strip()}). Save them again.") from error
    return column


def parquet(files: Sequence[Path], column: str) -> ArrowStore:
    """Return a store of a column of parquet files; encoded bytes stay in memory, so this is for small datasets."""
    paths = tuple(files)
    return ArrowStore(lambda: [_read(file, column) for file in paths], paths, column, tuple(map(str, paths)))


def _read(file: Path, column: str) -> pa.ChunkedArray:
    return pq.read_table(file, columns=[column]).column(0)


@dataclass(frozen=True, eq=False)
class FileStore:
    """One image file per row."""

    paths: tuple[Path, ...]

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode the images of these rows: uint8 [H, W, 3] each."""
        return [decode(read_file(self.paths[int(row)]), str(self.paths[int(row)])) for row in rows]

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files."""
        return digests.files(self.paths)

    def encoding(self) -> str | None:
        """Return the lossy encoding among a spread of files."""
        rows = np.unique(np.linspace(0, len(self.paths) - 1, SAMPLES).astype(np.int64))
        return lossy(read_file(self.paths[int(row)]) for row in rows)


def read_file(path: Path) -> bytes:
    """Return the content of a file; UserError names one that cannot be read."""
    try:
        return read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Repair or remove it.") from error
