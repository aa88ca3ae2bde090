"""Names and folders of settings. A setting (`Cell`) is one dataset, one frozen backbone and one protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from bench.system.text import clean
from bench.trials.folders import place_of, suffix, without_paths
from bench.trials.record import Cell


@dataclass(frozen=True)
class Address:
    """The folder of a setting, relative to the report's folder, and a name that no other setting has."""

    folder: PurePosixPath
    name: str


def addresses(cells: Iterable[Cell]) -> dict[Cell, Address]:
    """Return the address of every setting, in a stable order.

    If a dataset and backbone have one setting, its folder is `dataset/backbone`; if they have several, each folder has
    a suffix that names the difference.
    """
    held = sorted(set(cells), key=_order)
    often = Counter(title(cell) for cell in held)
    found = {}
    for cell in held:
        place = place_of(cell)
        twins = [other for other in held if place_of(other) == place]
        differs = suffix(cell, twins) if len(twins) > 1 else ""
        name = title(cell) if often[title(cell)] == 1 else f"{title(cell)} · {differs}"
        found[cell] = Address(place.with_name(f"{place.name}--{differs}") if differs else place, name)
    return found


def title(cell: Cell) -> str:
    """Return the dataset with its variant, the backbone, input size, number of exits and protocol as one text."""
    variant = f" ({cell.dataset_variant})" if cell.dataset_variant else ""
    parts = [f"{without_paths(cell.dataset)}{variant}", without_paths(cell.backbone)]
    parts += [cell.size] if cell.image_size else []  # optional for imported logits
    parts += [f"{len(cell.exit_names)} exits", f"protocol {cell.protocol_version}"]
    return clean(" · ".join(parts))


def warnings(cell: Cell) -> list[str]:
    """Return the reasons why a setting cannot be compared with others; each starts with a word in capitals."""
    found = []
    if cell.limit is not None:
        found.append(f"LIMIT {cell.limit}: smoke run on {cell.limit} {cell.modality}s per split, not comparable")
    if cell.protocol_version.endswith("-seen"):
        found.append("SEEN: the backbone's weights have seen this training set; val and cal come from the test set")
    if cell.dataset_variant:
        found.append(f"VARIANT {cell.dataset_variant}: not the official {cell.modality}s")
    return found


def _order(cell: Cell) -> tuple[object, ...]:
    named = (cell.dataset, cell.dataset_variant is None, cell.dataset_variant or "", cell.backbone, cell.image_size)
    return (*named, cell.protocol_version, cell.limit is None, cell.limit or 0, len(cell.exit_names), cell.bank_digest)
