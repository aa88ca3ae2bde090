"""Splits of a local path with tables: parquet files, or tar archives of WebDataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets as hub
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.info import DatasetInfosDict

from bench.datasets.parquet import class_names
from bench.datasets.roles import Role, role
from bench.datasets.shards import BUILDERS, assign_files, check_shards, grouped, table_files
from bench.datasets.splits import Split, check_config, converted, opening, tell_left_out
from bench.errors import UserError
from bench.system.notices import tell_once

_ADVICE = {
    ".parquet": "Download the files again",
    ".tar": "Check that every sample has the same files, and that its .cls contains a whole number",
}


def open_tables(
    where: str, path: Path, files: Sequence[Path], config: str | None, wanted: Mapping[str, str | None]
) -> dict[str, Split]:
    """Open the splits of parquet or tar files: those declared in a README, else those in the file names."""
    declared = _declared(where, path, config) if path.is_dir() else None
    base = path if path.is_dir() else path.parent
    groups = declared[0] if declared else grouped(where, base, files)
    for title, several in groups.items():
        check_shards(where, title, several, "" if path.is_dir() else f" Write hf:{base} for all files of this folder.")
    only = next(iter(groups)) if len(groups) == 1 and not any(wanted.values()) else None
    if only is not None and (path.is_file() or (role(only) or Role("train", ())).part == "train"):
        parts = {"train": only}
    else:
        parts = assign_files(where, list(groups), wanted)
    tell_left_out(where, [title for title in groups if title not in parts.values()])
    features = declared[1] if declared else None
    opened = {part: _open(where, part, title, groups[title], features) for part, title in parts.items()}
    return {part: split for part, split in opened.items() if split is not None}


def _declared(where: str, path: Path, config: str | None) -> tuple[dict[str, list[Path]], hub.Features | None] | None:
    """Return the files by split, and the columns, that the README of a dataset declares; None if it declares none."""
    card = path / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    if not re.search(r"^(configs|dataset_info):", head, re.MULTILINE):
        if config is not None:
            inside = f" Write hf:{path / config} for that folder." if (path / config).is_dir() else ""
            raise UserError(f"'{where}' declares no configurations. Leave config={config} out.{inside}")
        return None
    with opening(where, f"Correct {card}"):
        if not re.search(r"^configs:", head, re.MULTILINE):
            described = DatasetInfosDict.from_directory(str(path))
            check_config(where, list(described), config)
            features = next((info.features for name, info in described.items() if name == config or not config), None)
            return grouped(where, path, table_files(path)), features
        try:
            builder = hub.load_dataset_builder(str(path), config, cache_dir=converted([card]))
        except ValueError:
            check_config(where, hub.get_dataset_config_names(str(path)), config)
            raise
    files = builder.config.data_files or {}
    return {str(split): [Path(file) for file in several] for split, several in files.items()}, builder.info.features


def _open(where: str, part: str, title: str, files: Sequence[Path], features: hub.Features | None) -> Split | None:
    """Open one split; None if it has no rows, which is reported once."""
    if other := next((file for file in files if file.suffix not in BUILDERS), None):
        raise UserError(f"{other} of '{where}' is neither a parquet nor a tar file. Leave it out of the README.")
    kept = [file for file in files if file.suffix != ".parquet" or _schema(where, file)[1]]
    if not kept:
        tell_once(f"Split '{title}' of '{where}' has no images and is left out.")
        return None
    builder, chosen = BUILDERS[kept[0].suffix], {} if features is None else {"features": features}
    with opening(where, f"{_ADVICE[kept[0].suffix]} ({kept[0].parent})"):
        data = hub.load_dataset(
            builder,
            data_files={part: [str(file) for file in kept]},
            split=part,
            cache_dir=converted(kept),
            **chosen,
        )
    return Split(title, data, lambda column: _names(where, title, kept, column))


def _schema(where: str, file: Path) -> tuple[pa.Schema, int]:
    """Return the schema and the number of rows of a parquet file."""
    try:
        with pq.ParquetFile(file) as opened:
            return opened.schema_arrow, opened.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file} of '{where}' cannot be read ({str(error).strip()}). Download it again.") from error


def _names(where: str, title: str, files: Sequence[Path], column: str) -> tuple[str, ...] | None:
    """Return the class names that parquet files store for a column; UserError if two files disagree."""
    found = {file: class_names(_schema(where, file)[0], column) for file in files if file.suffix == ".parquet"}
    if len(set(found.values())) > 1:
        first, names = next(iter(found.items()))
        other = next(file for file, other in found.items() if other != names)
        raise UserError(
            f"{first.name} and {other.name} of split '{title}' of '{where}' name the classes of column '{column}' "
            "differently. Write them again with the same names in the same order."
        )
    return next(iter(found.values()), None)
