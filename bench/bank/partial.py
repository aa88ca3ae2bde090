"""The half-built bank: preallocated arrays, and flags that say which rows are already in them."""

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

from bench.bank.manifest import SPLITS
from bench.bank.plan import Plan, array_file
from bench.errors import UserError

_STATE = "partial.json"  # written last, so a folder that has it has all its arrays
_CHECKPOINT_SHARE = 50  # at most 1/50 of the time goes into checkpoints


class Partial:
    """A bank being built in `path`. What an earlier, interrupted build of the same digest finished is kept."""

    def __init__(self, path: Path, plan: Plan, checkpoint_seconds: float = 5.0) -> None:
        self.path, self.plan = path, plan
        if not self._resumable():
            shutil.rmtree(path, ignore_errors=True)
            self._create()
        self._done = {s: np.lib.format.open_memmap(path / f"{s}.done.npy", mode="r+") for s in SPLITS}
        self._marked: dict[str, list[np.ndarray]] = {s: [] for s in SPLITS}
        self._arrays = {name: np.lib.format.open_memmap(path / name, mode="r+") for name in plan.arrays}
        self._pause = checkpoint_seconds
        self._next = time.monotonic() + checkpoint_seconds

    def pending(self, split: str) -> np.ndarray:
        """Positions in the split that are still to do, in the order in which the dataset stores their images."""
        positions = np.flatnonzero(~self._done[split])
        return positions[np.argsort(self.plan.rows[split][positions], kind="stable")]

    @property
    def done(self) -> int:
        """How many images are finished."""
        return sum(int(flags.sum()) for flags in self._done.values())

    def write(self, split: str, view: int, positions: np.ndarray, features: Sequence[np.ndarray]) -> None:
        """Put K feature blocks [B, D_k] at their positions."""
        for exit_, block in enumerate(features):
            self._arrays[array_file(split, view, exit_, len(features))][positions] = block

    def mark(self, split: str, positions: np.ndarray) -> None:
        """Note that all views of these positions are written; the flags reach the disk at the next checkpoint."""
        self._marked[split].append(positions)
        if time.monotonic() >= self._next:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Bring features, and only then their flags, to the disk."""
        start = time.monotonic()
        for name, array in self._arrays.items():
            if self._marked[name.partition(".")[0]]:
                array.flush()
        for split, marked in self._marked.items():
            if marked:
                self._done[split][np.concatenate(marked)] = True
                self._done[split].flush()
                marked.clear()
        now = time.monotonic()
        self._next = now + max(self._pause, _CHECKPOINT_SHARE * (now - start))

    def close(self) -> None:
        """Let go of the files."""
        self._arrays.clear()
        self._done.clear()

    def strip(self) -> None:
        """Remove what only an unfinished bank has."""
        for name in (_STATE, *(f"{s}.done.npy" for s in SPLITS)):
            (self.path / name).unlink(missing_ok=True)

    def _resumable(self) -> bool:
        """Whether the folder is the sound remainder of a build of this very bank."""
        try:
            state = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
            if state["digest"] != self.plan.digest:
                return False
            for name, shape in self.plan.arrays.items():
                array = np.load(self.path / name, mmap_mode="r")
                if array.shape != shape or array.dtype != self.plan.dtype:
                    return False
            flags = {s: np.load(self.path / f"{s}.done.npy", mmap_mode="r") for s in SPLITS}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return all(f.dtype == bool and f.shape == self.plan.rows[s].shape for s, f in flags.items())

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True)
            self._check_space()
            for name, shape in self.plan.arrays.items():
                _allocate(self.path / name, shape, self.plan.dtype)
            for split, rows in self.plan.rows.items():
                _allocate(self.path / f"{split}.done.npy", rows.shape, "bool")
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
                f"The bank needs {need / 1e9:.2f} GB in {self.path.parent}, which has {have / 1e9:.2f} GB free. "
                f"Free space with `bench bank prune`, give another folder{shorter}, or set a limit."
            )


def _allocate(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Make a zeroed .npy file whose blocks really exist: a full disk then fails here, not in a later memory access."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    array.flush()
    del array
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file, _unsupported_is_fine():
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextlib.contextmanager
def _unsupported_is_fine():  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
