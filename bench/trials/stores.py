"""Read records from stores of either kind: the working store that runs write to, and the published store."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from bench.bank.cell import Cell
from bench.errors import UserError
from bench.trials.published import PublishedStore
from bench.trials.record import Record
from bench.trials.store import Store


class Readable(Protocol):
    """What both kinds of store offer to readers."""

    root: Path

    def paths(self) -> list[Path]:
        """Return the paths of all stored files, in order."""

    def digests(self) -> dict[Cell, str]:
        """Return a digest of the stored records of every setting, without parsing the records."""

    def records(self, cells: Collection[Cell] | None = None) -> list[Record]:
        """Return all records, or those of some settings, in a stable order."""


def open_store(path: str | Path) -> Readable:
    """Return the store in a folder, whichever kind it is. Raises UserError if the folder contains no records."""
    root = Path(path)
    kinds: list[Readable] = [store for store in (Store(root), PublishedStore(root)) if root.is_dir() and store.paths()]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise UserError(
            f"The folder '{root}' contains both a working store (JSON) and a published one (Parquet). "
            "Move one of them to a folder of its own."
        )
    problem = "contains no records" if root.is_dir() else "does not exist"
    raise UserError(f"The folder '{root}' {problem}. Run `bench run` first, or name another folder.")


def read_all(paths: Iterable[str | Path], cells: Collection[Cell] | None = None) -> list[Record]:
    """Return the records of several stores, of some settings where `cells` is given, in order of their ids.

    If several stores contain a record of the same id, the one created last is returned; ties go to the later store.
    """
    found: dict[tuple[Cell, str], Record] = {}
    for path in paths:
        for record in open_store(path).records(cells):
            known = found.get((record.cell, record.id))
            if known is None or record.created >= known.created:
                found[record.cell, record.id] = record
    return sorted(found.values(), key=lambda record: record.id)


def digest_all(paths: Iterable[str | Path]) -> dict[Cell, str]:
    """Return a digest for every setting of several stores. It changes when any stored record of the setting changes."""
    parts: dict[Cell, list[str]] = {}
    for path in paths:
        for cell, digest in open_store(path).digests().items():
            parts.setdefault(cell, []).append(digest)
    return {cell: hashlib.sha256(" ".join(digests).encode()).hexdigest() for cell, digests in parts.items()}


def by_setting(records: Iterable[Record]) -> dict[Cell, list[Record]]:
    """Group records by setting."""
    found: dict[Cell, list[Record]] = {}
    for record in records:
        found.setdefault(record.cell, []).append(record)
    return found


def versions(records: Iterable[Record]) -> list[list[Record]]:
    """Group the records of one setting by point and seed, newest first: the newest record of a point counts."""
    found: dict[tuple[str, str, str, int], list[Record]] = {}
    for record in records:
        point = record.point
        found.setdefault((point.kind, point.label, point.point, point.seed), []).append(record)
    return [sorted(held, key=lambda record: (record.created, record.id), reverse=True) for held in found.values()]
