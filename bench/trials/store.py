"""The results folder: one JSON per operating point, written atomically, named by what determines it."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.errors import UserError
from bench.trials.record import READABLE, Cell, Point, Record, record_id

if TYPE_CHECKING:
    import numpy as np


def slug(text: str) -> str:
    """Turn a name into a folder name: letters, digits, dot, dash, equals; everything else becomes '_'."""
    return re.sub(r"[^A-Za-z0-9.=\-]+", "_", text).strip("_.") or "unnamed"


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader sees all of it or none: temporary file beside it, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while records are written; it takes effect right after."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def check_writable(folder: Path, what: str, option: str) -> None:
    """Raise UserError now rather than after hours of work when a folder cannot be written to; name the remedy."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"The {what} '{folder}' cannot be written to ({error.strerror})."
        raise UserError(f"{problem} Name another one with {option}.") from None


class Store:
    """A results folder. Several runs may write to it at once: names say what a record is, renames are atomic."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, cell: Cell, point: Point) -> Path:
        """Return where the record of an operating point lies (or would)."""
        folder = self.root / slug(cell.dataset) / slug(cell.backbone) / slug(point.method)
        return folder / f"{record_id(cell, point)}.json"

    def write(self, record: Record, samples: Mapping[str, np.ndarray] | None = None) -> Path:
        """Store a record, and its per-sample outcomes in an .npz beside it (first: a record never lacks them)."""
        import numpy as np

        path = self.path(record.cell, record.point)
        outcomes = path.with_suffix(".npz")
        if samples is not None:
            arrays: dict[str, Any] = dict(samples)
            write_atomic(outcomes, lambda file: np.savez_compressed(file, **arrays))
        else:
            outcomes.unlink(missing_ok=True)
        write_record(path, record)
        return path

    def status(self, cell: Cell, point: Point) -> str | None:
        """Return the status of a stored operating point, None where there is none."""
        path = self.path(cell, point)
        return read(path).status if path.exists() else None

    def paths(self) -> list[Path]:
        """Where all records lie, in order."""
        return [path for path in sorted(self.root.rglob("*.json")) if not path.name.startswith(".")]

    def records(self) -> Iterator[Record]:
        """Iterate over all records, in order of their paths."""
        return (read(path) for path in self.paths())


def write_record(path: Path, record: Record) -> None:
    """Write a record's JSON and leave what lies beside it alone."""
    text = record.model_dump_json(indent=1) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def read(path: Path) -> Record:
    """Read one record; raise UserError naming the file where it is damaged or of another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version not in READABLE:
            known = " and ".join(map(str, READABLE))
            raise UserError(
                f"'{path}' is a record of schema {version}; this version reads schemas {known}. "
                "Move it out of the results folder or use the version that wrote it."
            )
        return Record.model_validate(data)
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' is not a readable record ({error}). Delete it and run again.") from None


def wanted(store: Store, cell: Cell, points: Iterable[Point], rerun: str) -> list[Point]:
    """Return the points still to do: the set difference of plan and store.

    rerun: 'missing' does what has no record; 'failed' also what failed or timed out; 'all' everything.
    """
    redo: dict[str, set[str | None]] = {
        "missing": {None},
        "failed": {None, "failed", "timeout"},
        "all": {None, "ok", "infeasible", "failed", "timeout"},
    }
    return [p for p in points if store.status(cell, p) in redo[rerun]]
