"""Give workers a bank: by its path if the node can read it, otherwise as bytes that are sent once to each node."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from bench.bank.bank import Bank
from bench.bank.manifest import read_manifest
from bench.errors import BankError

Files = Iterable[tuple[str, np.ndarray]]  # names and bytes of the files of a bank


@dataclass(frozen=True)
class BankRef:
    """The path of a bank as the driver sees it, and its digest."""

    path: Path
    digest: str


def reference(bank: Bank) -> BankRef:
    """Return the reference of a bank."""
    return BankRef(bank.path.resolve(), bank.digest)


def files_of(bank: Bank) -> Iterator[tuple[str, np.ndarray]]:
    """Read the files of a bank one by one, as bytes."""
    for path in sorted(p for p in bank.path.iterdir() if p.is_file()):
        yield path.name, np.fromfile(path, dtype=np.uint8)


def resolve(bank_ref: BankRef, fetch: Callable[[], Files]) -> Bank:
    """Open a bank at its path, or else this node's copy, which the first worker of the node writes.

    `fetch` gets the files from the driver. Raises BankError if neither is available.
    """
    if _here(bank_ref.path, bank_ref.digest):
        return Bank.open(bank_ref.path)
    folder = copies() / f"{bank_ref.path.name}-{bank_ref.digest[:16]}"
    with FileLock(f"{folder}.lock"):
        if not _here(folder, bank_ref.digest):
            _write(folder, fetch())
    if not _here(folder, bank_ref.digest):
        raise BankError(
            f"The bank '{bank_ref.path}' is not visible on this node, and the driver could not send it. Put --bank-dir "
            "on storage that all nodes share."
        )
    return Bank.open(folder)


def copies() -> Path:
    """Return this user's folder of copies on this node, which no other user can write to."""
    folder = Path(tempfile.gettempdir()) / f"exitbench-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise BankError(f"'{folder}' belongs to another user. Set TMPDIR on this node to a folder of your own.")
    return folder


def _write(folder: Path, files: Files) -> None:
    """Write a copy atomically: if this process is killed, the copy is complete or absent."""
    partial = folder.with_name(f"{folder.name}.partial")
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    for name, array in files:
        array.tofile(partial / Path(name).name)
    partial.rename(folder)


def _here(path: Path, digest: str) -> bool:
    try:
        return read_manifest(path).digest == digest
    except (BankError, OSError):
        return False
