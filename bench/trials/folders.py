"""The folders of settings: dataset/backbone, with a suffix where several settings share both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


def names_of(cells: Iterable[Cell]) -> dict[Cell, str]:
    """Return a short display name for every setting, no two of them the same: dataset, backbone and what differs."""
    held = list(dict.fromkeys(cells))
    found = {}
    for cell in held:
        twins = [other for other in held if place_of(other) == place_of(cell)]
        parts = [without_paths(cell.dataset), without_paths(cell.backbone)]
        found[cell] = " · ".join([*parts, suffix(cell, twins)] if len(twins) > 1 else parts)
    return found


COARSE: tuple[Callable[[Cell], str], ...] = (
    lambda cell: cell.dataset_variant or "official",
    lambda cell: cell.size.replace(" ", ""),
    lambda cell: cell.protocol_version,
    lambda cell: "full" if cell.limit is None else f"limit{cell.limit}",
    lambda cell: f"{len(cell.exit_names)}exits",
)
FINE: tuple[Callable[[Cell], str], ...] = (  # only if the coarse ones do not distinguish two settings
    lambda cell: _places(cell.exit_names),
    lambda cell: f"data{cell.dataset_digest[:8]}",  # another folder of the same name
    lambda cell: f"bank{cell.bank_digest[:12]}",  # other weights, or features stored in another way
)


def suffix(cell: Cell, twins: Collection[Cell]) -> str:
    """Return what differs between a setting and others of the same dataset and backbone."""

    def text(one: Cell) -> str:
        return "-".join(slug(word(one)) for word in words)

    words = [word for word in COARSE if len({word(twin) for twin in twins}) > 1]
    for word in FINE:
        if sum(text(twin) == text(cell) for twin in twins) == 1:
            break
        words += [word] if len({word(twin) for twin in twins}) > 1 else []
    return text(cell)


def _places(names: Sequence[str]) -> str:
    """Return the places of exits in a few characters."""
    text = "exits" + ".".join(re.findall(r"\d+", " ".join(names)))
    return text if len(text) <= 24 else f"exits{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def without_paths(text: str) -> str:
    """Shorten absolute and home paths in a text to their last part."""
    return re.sub(r"(?<![\w./~<])(?:~?/|[A-Za-z]:\\)(?:[^\s'\"/\\:,;()\[\]]+[/\\])*(?=[^\s'\"/\\:,;()\[\]])", "", text)
