"""The folders of settings: dataset/backbone, with a suffix where several settings share both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from bench.bank.cell import Cell
from bench.system.files import slug


def folders_of(cells: Iterable[Cell], known: Mapping[Cell, PurePosixPath] | None = None) -> dict[Cell, PurePosixPath]:
    """Return a folder for every setting, no two of them the same; those in `known` keep theirs.

    A dataset and backbone with one setting has the folder `dataset/backbone`. If it has several, each gets a suffix
    that states what differs, so that they never share a file or a table.
    """
    known = known or {}
    everything = {*cells, *known}
    return {cell: known.get(cell) or _folder(cell, everything) for cell in cells}


def _folder(cell: Cell, everything: Collection[Cell]) -> PurePosixPath:
    place = place_of(cell)
    twins = [other for other in everything if place_of(other) == place]
    return place.with_name(f"{place.name}--{suffix(cell, twins)}") if len(twins) > 1 else place


def place_of(cell: Cell) -> PurePosixPath:
    """Return `dataset/backbone`, which several settings may share."""
    return PurePosixPath(slug(without_paths(cell.dataset))) / slug(without_paths(cell.backbone))


def suffix(cell: Cell, twins: Collection[Cell]) -> str:
    """Return what differs between a setting and others of the same dataset and backbone."""
    words = {
        "variant": lambda c: c.dataset_variant or "official",
        "size": lambda c: f"{c.image_size}px",
        "protocol": lambda c: c.protocol_version,
        "limit": lambda c: "full" if c.limit is None else f"limit{c.limit}",
        "exits": lambda c: f"{len(c.exit_names)}exits",
    }
    differing = [word for word in words.values() if len({word(twin) for twin in twins}) > 1]

    def text(one: Cell) -> str:
        return "-".join(slug(word(one)) for word in differing)

    if sum(text(twin) == text(cell) for twin in twins) == 1:
        return text(cell)
    digest = hashlib.sha256(cell.model_dump_json().encode()).hexdigest()[:8]
    return "-".join(filter(None, [text(cell), digest]))


def without_paths(text: str) -> str:
    """Shorten absolute and home paths in a text to their last part."""
    return re.sub(r"(?<![\w./~<])(?:~?/|[A-Za-z]:\\)(?:[^\s'\"/\\:,;()\[\]]+[/\\])*(?=[^\s'\"/\\:,;()\[\]])", "", text)
