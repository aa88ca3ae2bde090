"""Publish a working store: merge its records into the published store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bank.cell import Cell
from bench.errors import UserError, nearest
from bench.trials.folders import folders_of
from bench.trials.published import PublishedStore
from bench.trials.record import Record
from bench.trials.store import Store
from bench.trials.stores import by_setting, open_store, versions

UNFINISHED = ("failed", "timeout")


@dataclass(frozen=True)
class Merged:
    """The merged records of one setting, and what changed."""

    records: list[Record]
    counts: Counter[str]  # of the words that `CHANGES` explains


CHANGES = {
    "new": "new",
    "replaced": "replaced an older record of the same id",
    "other version": "replaced a record of another version of the method or its heads",
    "unchanged": "unchanged",
    "older": "older than the published record, which was kept",
    "unfinished": "failed or timed out, not published",
    "kept": "published before and kept",
}


def merge(published: Sequence[Record], working: Sequence[Record]) -> Merged:
    """Merge the records of one setting. The newest record of a point counts; no published point is lost."""
    usable = [record for record in working if record.status not in UNFINISHED]
    counts: Counter[str] = Counter(unfinished=len(working) - len(usable))
    mine = {id(record) for record in usable}
    before = {record.id: record for record in published}
    grouped = versions([*usable, *published])  # the working record counts where both were created at the same time
    counts.update(_change(held, before, mine) for held in grouped)
    return Merged([held[0] for held in grouped], counts)


def _change(held: Sequence[Record], before: dict[str, Record], mine: set[int]) -> str:
    newest = held[0]
    if id(newest) not in mine:
        return "older" if any(id(record) in mine for record in held) else "kept"
    if newest.id in before:
        return "unchanged" if before[newest.id] == newest else "replaced"
    return "other version" if any(record.id in before for record in held) else "new"


@dataclass(frozen=True)
class Publication:
    """The outcome of publishing: per setting the merged records, and the paths of its files."""

    settings: dict[Cell, Merged]
    smoke: tuple[Cell, ...]  # settings of smoke runs, which are not published
    paths: list[Path]


def publish(store: str | Path, target: str | Path, only: Sequence[str] = ()) -> Publication:
    """Merge the settings of a working store (`only`: 'dataset' or 'dataset/backbone') into a published store.

    Raises UserError if there is nothing to publish, or a name in `only` belongs to no setting.
    """
    goal = Path(target)
    chosen = working_records(store, goal, only)
    smoke = tuple(cell for cell in chosen if cell.limit is not None)
    found = PublishedStore(goal)
    before = found.records(chosen)
    merged = {
        cell: merge([record for record in before if record.cell == cell], records)
        for cell, records in chosen.items()
        if cell not in smoke
    }
    return Publication(merged, smoke, found.write({c: m.records for c, m in merged.items() if m.records}))


def working_records(store: str | Path, target: Path, only: Sequence[str] = ()) -> dict[Cell, list[Record]]:
    """Return the records of the chosen settings of a working store, to be written to the folder `target`.

    Raises UserError if it is not a working store, contains `target`, or has no setting of a name in `only`.
    """
    source = Path(store)
    if source.resolve() == target.resolve() or target.resolve() in source.resolve().parents:
        raise UserError(f"'{target}' contains the working store '{source}'. Choose another folder with --to.")
    opened = open_store(source)
    if not isinstance(opened, Store):
        raise UserError(f"'{source}' is a published store. Name a working store, which `bench run` writes, with -o.")
    return _chosen(by_setting(opened.records()), only)


def _chosen(settings: dict[Cell, list[Record]], only: Sequence[str]) -> dict[Cell, list[Record]]:
    names = {
        cell: {str(path), path.parts[0], str(path).partition("--")[0]} for cell, path in folders_of(settings).items()
    }
    for name in only:
        if not any(name.strip("/") in held for held in names.values()):
            valid = sorted(set().union(*names.values()))
            raise UserError(f"The working store has no setting '{name}'.{nearest(name, valid)}")
    wanted = {name.strip("/") for name in only}
    return {cell: records for cell, records in settings.items() if not only or names[cell] & wanted}
