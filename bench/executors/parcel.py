"""A bank on its way to a worker: by its path where the worker sees it, else its bytes, once per node."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.bank.bank import Bank
from bench.bank.manifest import read_manifest
from bench.errors import BankError


@dataclass(frozen=True)
class Parcel:
    """Where a bank lies for the driver and, for nodes that cannot see that path, references to its files' bytes."""

    path: Path
    digest: str
    files: dict[str, Any]  # file name → object reference; empty where every worker shares the driver's disk


def pack(bank: Bank, put: Any = None) -> Parcel:
    """Make the parcel of a bank; `put` stores an array in the cluster's object store and returns its reference."""
    path = bank.path.resolve()
    files = {}
    if put is not None:
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        files = {name: put(np.fromfile(path / name, dtype=np.uint8)) for name in names}
    return Parcel(path, bank.digest, files)


def unpack(parcel: Parcel, get: Any) -> Bank:
    """Open a parcel's bank: at its path, else at this node's copy, which the first worker of the node writes.

    `get` turns a list of object references into arrays. Raises BankError where neither is to be had.
    """
    if _here(parcel.path, parcel.digest):
        return Bank.open(parcel.path)
    if not parcel.files:
        raise BankError(
            f"The bank '{parcel.path}' is not visible on this node. Put --bank-dir on storage that all nodes share."
        )
    folder = Path(tempfile.gettempdir()) / f"exitbench-{os.getuid()}" / parcel.path.name
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _here(folder, parcel.digest):
            folder.mkdir(exist_ok=True)
            for name, array in zip(parcel.files, get(list(parcel.files.values())), strict=True):
                array.tofile(folder / name)
    return Bank.open(folder)


def _here(path: Path, digest: str) -> bool:
    try:
        return read_manifest(path).digest == digest
    except (BankError, OSError):
        return False
