"""Files that are whole or not there: names, atomic writes, and folders that can be written to."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.errors import UserError


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
