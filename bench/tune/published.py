"""Publish searches beside the records of their settings: a report shows those of a published store, too."""

from __future__ import annotations

from pathlib import Path

from bench.bank.cell import Cell
from bench.tune.history import FOLDER, read, write


def publish(store: Path, target: Path, cell: Cell) -> list[Path]:
    """Copy a setting's finished searches from a working store to a published store; return the paths of the copies.

    Raises UserError if a search is damaged.
    """
    paths = []
    for path in sorted((Path(store) / FOLDER).glob("*.yaml")):
        search = read(path)
        if search.kept is not None and search.subject.bank_digest == cell.bank_digest:
            write(target / FOLDER / path.name, search)
            paths.append(target / FOLDER / path.name)
    return paths
