"""An unfinished bank: preallocated arrays, and checksums of the rows that are already written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from bench.bank.plan import Plan, array_file
from bench.errors import UserError
from bench.system.files import open_regular, write_atomic
from bench.system.text import file_size

_STATE = "partial.json"  # written last, so a folder that has it has all its arrays
_CHECKSUM = np.dtype("<u8")  # of a row; 0: not written yet
_ROWS_AT_ONCE = 4096  # compared with their checksums together
_CHECKPOINT_SHARE = 50  # checkpoints take at most 1/50 of the time


class Partial:
    """A bank being built in `path`.

    Rows finished by an interrupted build of the same digest are kept if their checksums still match.
    """

    def __init__(self, path: Path, plan: Plan, checkpoint_seconds: float = 5.0) -> None:
        self.path, self.plan = path, plan
        if not self._resumable():
            shutil.rmtree(path, ignore_errors=True)
            self._create()
        self._sums = {s: np.lib.format.open_memmap(path / f"{s}.done.npy", mode="r+") for s in plan.rows}
        self._marked: dict[str, list[np.ndarray]] = {s: [] for s in plan.rows}
        self._arrays = {name: np.lib.format.open_memmap(path / name, mode="r+") for name in plan.arrays}
        self._forget_changed()
        self._pause = checkpoint_seconds
        self._next = time.monotonic() + checkpoint_seconds

    def pending(self, split: str) -> np.ndarray:
        """Return the positions in the split that are not done, in the dataset's storage order."""
        positions = np.flatnonzero(self._sums[split] == 0)
        return positions[np.argsort(self.plan.rows[split][positions], kind="stable")]

    @property
    def done(self) -> int:
        """The number of finished samples."""
        return sum(map(int, map(np.count_nonzero, self._sums.values())))

    def write(self, split: str, view: int, positions: np.ndarray, features: Sequence[np.ndarray]) -> None:
        """Write K feature blocks [B, D_k] at their positions."""
        for exit_, block in enumerate(features):
            self._arrays[array_file(split, view, exit_, len(features))][positions] = block

    def mark(self, split: str, positions: np.ndarray) -> None:
        """Record that all views of these positions are written; checksums reach the disk at the next checkpoint."""
        self._marked[split].append(positions)
        if time.monotonic() >= self._next:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Flush features, and then their checksums, to the disk."""
        start = time.monotonic()
        for name, array in self._arrays.items():
            if self._marked[name.partition(".")[0]]:
                array.flush()
        for split, marked in self._marked.items():
            if marked:
                for positions in marked:
                    self._sums[split][positions] = self._checksums(split, positions)
                self._sums[split].flush()
                marked.clear()
        now = time.monotonic()
        self._next = now + max(self._pause, _CHECKPOINT_SHARE * (now - start))

    def close(self) -> None:
        """Close the files."""
        self._arrays.clear()
        self._sums.clear()

    def strip(self) -> None:
        """Remove what only an unfinished bank has."""
        for name in (_STATE, *(f"{s}.done.npy" for s in self.plan.rows)):
            (self.path / name).unlink(missing_ok=True)

    def _checksums(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Hash the features of each position over all views and exits; never 0."""
        parts = [self._arrays[name][positions] for name in self._arrays if name.partition(".")[0] == split]
        rows = np.concatenate(parts, axis=1)
        return np.array([xxhash.xxh3_64_intdigest(row) or 1 for row in rows], _CHECKSUM)

    def _forget_changed(self) -> None:
        """Reset rows whose features have changed since they were written: they are computed again."""
        for split, sums in self._sums.items():
            done = np.flatnonzero(sums)
            for start in range(0, len(done), _ROWS_AT_ONCE):
                part = done[start : start + _ROWS_AT_ONCE]
                sums[part[self._checksums(split, part) != sums[part]]] = 0

    def _resumable(self) -> bool:
        """Return whether the folder is an unfinished build of this bank with all its arrays."""
        shapes = {name: (shape, np.dtype(self.plan.dtype)) for name, shape in self.plan.arrays.items()}
        shapes |= {f"{split}.done.npy": (rows.shape, _CHECKSUM) for split, rows in self.plan.rows.items()}
        try:
            with open_regular(self.path / _STATE, 1 << 16) as file:
                if json.load(file)["digest"] != self.plan.digest:
                    return False
            for name, wanted in shapes.items():
                with open_regular(self.path / name):
                    array = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
                    if (array.shape, array.dtype) != wanted or np.isfortran(array):
                        return False
        except Exception:  # damaged files raise many kinds; the build starts again
            return False
        return True

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True)
            self._check_space()
            for name, shape in self.plan.arrays.items():
                _allocate(self.path / name, shape, self.plan.dtype)
            for split, rows in self.plan.rows.items():
                _allocate(self.path / f"{split}.done.npy", rows.shape, _CHECKSUM)
            write_text(self.path / _STATE, json.dumps({"digest": self.plan.digest}))
        except OSError as error:
            shutil.rmtree(self.path, ignore_errors=True)
            raise UserError(
                f"The bank cannot be written to {self.path.parent}: {error}. Give another folder."
            ) from error

    def _check_space(self) -> None:
        need, have = self.plan.bytes, shutil.disk_usage(self.path).free
        if need > have:
            self.path.rmdir()
            shorter = ", use dtype float16" if self.plan.dtype == "float32" else ""
            raise UserError(
                f"The bank needs {file_size(need)}, and {self.path.parent} has {file_size(have)} free. "
                f"Free space with `bench bank prune`, give another folder{shorter}, or set a limit."
            )


def _allocate(path: Path, shape: tuple[int, ...], dtype: str | np.dtype) -> None:
    """Make a zeroed .npy file with allocated blocks: a full disk then fails here, not in a later memory access."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    array.flush()
    del array
    with path.open("r+b") as file:
        reserve(file.fileno(), path.stat().st_size)


def reserve(handle: int, size: int) -> None:
    """Reserve bytes on the disk for an open file, if the system can; raise OSError if the disk is full."""
    if hasattr(os, "posix_fallocate"):
        with _unsupported_is_fine():
            os.posix_fallocate(handle, 0, size)


@contextlib.contextmanager
def _unsupported_is_fine():  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def write_text(path: Path, text: str) -> None:
    """Write a file atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def sync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
