"""The data and weights available for a cell of the grid, and exactly what is missing. Nothing is downloaded here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.backbones.weights import find_weights
from bench.datasets.cifar import ARCHIVE, open_archive
from bench.datasets.locate import Opener, places
from bench.datasets.official import FAMILY
from bench.datasets.parquet import open_parquet
from bench.datasets.svhn import LAYOUTS, open_matlab
from bench.errors import UserError
from bench.reproduce.grid import PaperCell


@dataclass(frozen=True)
class Availability:
    """One cell with the files found for it; each `…_note` says where they are, or what to put where."""

    cell: PaperCell
    data: Path | None
    data_note: str
    weights: Path | None
    weights_note: str

    @property
    def complete(self) -> bool:
        """Whether the cell can be run."""
        return self.data is not None and self.weights is not None


def look(cells: Sequence[PaperCell], data_dir: Path | None, weights: Path | None = None) -> list[Availability]:
    """Look for the data and the checkpoint of each cell; `weights` is the file of the only cell.

    Raises UserError for a data folder or a weight file that does not exist.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"The data folder {data_dir} does not exist. Give --data-dir a folder that contains the data.")
    if weights is not None and len(cells) != 1:
        raise UserError(
            f"--weights is one checkpoint, but {len(cells)} cells are selected. Name its cell with --cells, "
            f"for instance --cells {cells[0].name}."
        )
    if weights is not None and not weights.is_file():
        raise UserError(f"There is no weight file '{weights}'. Give the path of a checkpoint.")
    data = {source: find_data(source, data_dir) for source in dict.fromkeys(cell.source for cell in cells)}
    return [Availability(cell, *data[cell.source], *_find_checkpoint(cell, data_dir, weights)) for cell in cells]


def find_data(source: str, data_dir: Path | None) -> tuple[Path | None, str]:
    """Return the folder of a dataset, and a note; a damaged copy counts as missing, and the note describes it."""
    openers, layouts = _openers(source)
    roots = places(data_dir)
    for root in roots:
        for opener in openers:
            try:
                if opener(root) is not None:
                    return root, f"found in {root}"
            except UserError as error:
                return None, f"cannot be used: {error}"
    searched = ", ".join(map(str, roots))
    return None, f"not found: {FAMILY[source].title} is not in {searched}. Put {layouts} into one of these folders."


def _openers(source: str) -> tuple[tuple[Opener, ...], str]:
    if source == "svhn":
        return (partial(open_parquet, source), open_matlab), LAYOUTS
    layouts = f"{source}/train-*.parquet with {source}/test-*.parquet, or {ARCHIVE[source]}/"
    return (partial(open_parquet, source), partial(open_archive, source)), layouts


def _find_checkpoint(cell: PaperCell, data_dir: Path | None, weights: Path | None) -> tuple[Path | None, str]:
    if weights is not None:
        return weights, f"given: {weights}"
    found = find_weights(cell.checkpoints, data_dir)
    if found is not None:
        return found, f"found: {found}"
    roots = [str(root) for root in (data_dir, os.environ.get("BENCH_DATA")) if root]
    where = " or ".join(f"{root}/weights" for root in roots) or "the folder weights of --data-dir or $BENCH_DATA"
    names = " or ".join(cell.checkpoints)
    return None, f"not found. Put {names} into {where}, or name the file with --weights. {cell.origin}."
