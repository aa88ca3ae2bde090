"""Safe files: file names, atomic writes, bounded reads, and writable folders."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bench.errors import UserError

OUTPUT_MARK = ".exitbench-output"  # an empty file in folders that this project writes to
LONGEST = 180  # characters of a folder's name


def slug(text: str) -> str:
    """Turn a name into a folder name: letters, digits, dot, dash, equals; everything else becomes '_'.

    A name that is too long for a file system is truncated and ends in a digest.
    """
    name = re.sub(r"[^A-Za-z0-9.=\-]+", "_", text).strip("_.") or "unnamed"
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:8]}"


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader sees all of it or none: temporary file beside it, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def visible(path: Path, root: Path) -> bool:
    """Return whether neither a file nor any folder between it and `root` is hidden."""
    return not any(part.startswith(".") for part in path.relative_to(root).parts)


def umask() -> int:
    """Return the umask of this process: the permissions that new files lack."""
    with suppress(OSError, StopIteration, ValueError):  # os.umask would change it for a moment
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    found = os.umask(0o022)
    os.umask(found)
    return found


def leads_back(real: str, above: Iterable[str]) -> bool:
    """Return whether a folder is a circular link: its real path is one of those above it, or contains one."""
    return any(f"{path}{os.sep}".startswith(real.rstrip(os.sep) + os.sep) for path in above)


def open_regular(path: Path | str, most_bytes: int | None = None) -> IO[bytes]:
    """Open a regular file to read its bytes. Raises OSError for anything else: reading a pipe or a device may hang.

    With `most_bytes`, a larger file is an OSError as well.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(handle)
    problem = "" if stat.S_ISREG(status.st_mode) else "it is not a regular file"
    if most_bytes is not None and status.st_size > most_bytes:
        problem = f"it has {status.st_size:,} bytes; at most {most_bytes:,} are read"
    if problem:
        os.close(handle)
        raise OSError(errno.EINVAL, problem, str(path))
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most_bytes: int | None = None) -> bytes:
    """Return the content of a regular file; see `open_regular`."""
    with open_regular(path, most_bytes) as file:
        return file.read()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C while records are written; it takes effect right after."""
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


def mark_output(folder: Path) -> None:
    """Mark a folder as our output, so that its files are not mistaken for the user's images."""
    if not (folder / OUTPUT_MARK).exists():
        (folder / OUTPUT_MARK).touch()


def check_writable(folder: Path, what: str, option: str) -> None:
    """Mark a folder as our output. Raise UserError at once, not after hours, if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark_output(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"The {what} '{folder}' cannot be written to ({error.strerror})."
        raise UserError(f"{problem} Give another one with {option}.") from None
