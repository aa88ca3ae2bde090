"""Cells: records that may share a table, and what each cell is called on paper and on disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from bench.errors import UserError

FIELDS = ("dataset", "dataset_variant", "backbone", "image_size", "protocol", "limit", "num_exits", "bank_digest")
NEEDED = ("id", "status", "dataset", "backbone", "method", "kind", "budget", "point", "seed")


@dataclass(frozen=True)
class Cell:
    """One dataset through one frozen backbone under one protocol, with all records that belong to it."""

    dataset: str
    dataset_variant: str | None
    backbone: str
    image_size: int | None
    protocol: str
    limit: int | None
    num_exits: int | None
    bank_digest: str
    records: pd.DataFrame
    folder: PurePosixPath = field(default_factory=PurePosixPath)

    @property
    def name(self) -> str:
        """Dataset with its variant, backbone, pixels, exits and protocol."""
        variant = f" ({self.dataset_variant})" if self.dataset_variant else ""
        parts = [f"{without_paths(self.dataset)}{variant}", without_paths(self.backbone)]
        parts += [f"{self.image_size} px"] if self.image_size else []
        parts += [f"{self.num_exits} exits"] if self.num_exits else []
        return " · ".join([*parts, f"protocol {self.protocol}"])

    @property
    def warnings(self) -> list[str]:
        """What keeps these numbers from being compared with others, shortest first in capitals."""
        found = []
        if self.limit is not None:
            found.append(f"LIMIT {self.limit}: smoke run on {self.limit} images per split, not comparable")
        if self.protocol.endswith("-seen"):
            found.append("SEEN: the backbone's weights have seen this training set; val and cal come from the test set")
        if self.dataset_variant:
            found.append(f"VARIANT {self.dataset_variant}: not the official images")
        return found

    @property
    def flags(self) -> list[str]:
        """The same in a word each, for table rows."""
        limit = [f"limit {self.limit}"] if self.limit is not None else []
        seen = [self.protocol] if self.protocol.endswith("-seen") else []
        return [*limit, *seen, *([self.dataset_variant] if self.dataset_variant else [])]


def split_cells(records: pd.DataFrame) -> list[Cell]:
    """Split records into cells, in a stable order, each with the folder its report goes to.

    A dataset and backbone with one cell has the folder `dataset/backbone`; several get one suffix each that names what
    differs, so that they never share a table. Raises UserError for a frame that holds no records.
    """
    missing = [name for name in NEEDED if name not in records]
    if missing:
        raise UserError(
            f"These are no records: columns {', '.join(missing)} are missing. Read them with bench.load_records."
        )
    records = records.reset_index(drop=True)
    keys = [_key(row) for row in records.to_dict("records")]
    in_order = sorted(set(keys), key=lambda key: tuple((v is None, 0 if v is None else v) for v in key))
    own = {key: records[[k == key for k in keys]].reset_index(drop=True) for key in in_order}
    return _with_folders([Cell(**dict(zip(FIELDS, key, strict=True)), records=own[key]) for key in in_order])


def _key(row: Mapping[Hashable, Any]) -> tuple[Any, ...]:
    value: dict[str, Any] = {name: None if pd.isna(row.get(name)) else row[name] for name in FIELDS}
    for name in ("image_size", "limit", "num_exits"):
        value[name] = None if value[name] is None else int(value[name])
    value |= {"protocol": value["protocol"] or "v1", "bank_digest": value["bank_digest"] or ""}
    return tuple(value[name] for name in FIELDS)


def _with_folders(cells: Sequence[Cell]) -> list[Cell]:
    found = []
    for cell in cells:
        place = PurePosixPath(slug(without_paths(cell.dataset))) / slug(without_paths(cell.backbone))
        twins = [c for c in cells if (slug(without_paths(c.dataset)), slug(without_paths(c.backbone))) == place.parts]
        if len(twins) > 1:
            place = place.with_name(f"{place.name}--{_suffix(cell, twins)}")
        found.append(replace(cell, folder=place))
    return found


def _suffix(cell: Cell, twins: Sequence[Cell]) -> str:
    words = {
        "dataset_variant": lambda c: c.dataset_variant or "official",
        "image_size": lambda c: f"{c.image_size}px",
        "protocol": lambda c: c.protocol,
        "limit": lambda c: "full" if c.limit is None else f"limit{c.limit}",
        "num_exits": lambda c: f"{c.num_exits}exits",
    }
    differing = [w for field, w in words.items() if len({getattr(c, field) for c in twins}) > 1]
    suffix = "-".join(slug(word(cell)) for word in differing)
    if sum("-".join(slug(word(c)) for word in differing) == suffix for c in twins) > 1:
        whole = "|".join(str(getattr(cell, field)) for field in FIELDS)
        suffix = "-".join(filter(None, [suffix, hashlib.sha256(whole.encode()).hexdigest()[:8]]))
    return suffix


def slug(text: str) -> str:
    """Turn a name into a folder name: letters, digits, dot, dash, equals; everything else becomes '_'."""
    return re.sub(r"[^A-Za-z0-9.=\-]+", "_", text).strip("_.") or "unnamed"


def without_paths(text: str) -> str:
    """Shorten absolute and home paths in a text to their last part."""
    return re.sub(r"(?<![\w./~<])(?:~?/|[A-Za-z]:\\)(?:[^\s'\"/\\:,;()\[\]]+[/\\])*(?=[^\s'\"/\\:,;()\[\]])", "", text)
