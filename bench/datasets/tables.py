"""Splits of a local path that holds tables: parquet files, tar archives of WebDataset, or a dataset saved to disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import datasets as hub
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.info import DatasetInfosDict

from bench.datasets import digests
from bench.datasets.parquet import class_names
from bench.datasets.roles import Role, assign, parts_of, role
from bench.errors import UserError, nearest
from bench.system.cache import cache_dir
from bench.system.notices import tell_once

BUILDERS = {".parquet": "parquet", ".tar": "webdataset"}  # the first that is there counts
_ADVICE = {
    ".parquet": "Download the files again",
    ".tar": "Check that every sample has the same files, and that its .cls holds a whole number",
}
_SHARD = re.compile(r"(?P<stem>.*?)[-_. ]?(?P<number>\d+)(?:[-_]of[-_](?P<total>\d+))?(?:-[0-9a-f]{16})?")


@dataclass(frozen=True)
class Split:
    """One split: its title, its rows, and the class names that its files store for a column."""

    title: str
    data: hub.Dataset
    names: Callable[[str], tuple[str, ...] | None] = lambda column: None


def saved(path: Path) -> bool:
    """Whether a folder is a dataset saved by `save_to_disk`, or holds nothing but such folders."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file() or bool(_saved_below(path))


def open_saved(where: str, path: Path, wanted: Mapping[str, str | None]) -> dict[str, Split]:
    """Open the splits of a dataset that was saved by `save_to_disk`."""
    if (path / "state.json").is_file():
        with opening(where, "Save the dataset again"):
            return {"train": Split("train", hub.load_from_disk(str(path)))}
    below = _saved_below(path)
    listed = _json(where, path / "dataset_dict.json").get("splits", [])
    if missing := [name for name in listed if name not in below]:
        raise UserError(f"'{where}' is incomplete: its splits {', '.join(missing)} have no folder. Copy it again.")
    parts = assign(where, below, wanted)
    tell_left_out(where, [name for name in below if name not in parts.values()])
    with opening(where, "Save the dataset again"):
        return {part: Split(name, hub.load_from_disk(str(path / name))) for part, name in parts.items()}


def _saved_below(path: Path) -> list[str]:
    return sorted(place.parent.name for place in path.glob("*/state.json"))


def _json(where: str, path: Path) -> dict[str, Any]:
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} of '{where}' cannot be read ({error}). Save the dataset again.") from error
    return found if isinstance(found, dict) else {}


def table_files(path: Path) -> list[Path]:
    """Return the parquet files below a folder, else its tar files; hidden files and folders are passed over."""
    found = sorted(_below(path, (path.resolve(),)))
    of = {suffix: [file for file in found if file.suffix == suffix and file.is_file()] for suffix in BUILDERS}
    return next((files for files in of.values() if files), [])


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files below a folder; links to folders are followed, but none that leads back."""
    for path in folder.iterdir():
        if path.name.startswith((".", "__")):
            continue
        if not path.is_dir():
            yield path
        elif (real := path.resolve()) not in above:
            yield from _below(path, (*above, real))


def open_tables(
    where: str, path: Path, files: Sequence[Path], config: str | None, wanted: Mapping[str, str | None]
) -> dict[str, Split]:
    """Open the splits of parquet or tar files: those that a README declares, else those that the file names tell."""
    declared = _declared(where, path, config) if path.is_dir() else None
    base = path if path.is_dir() else path.parent
    groups = declared[0] if declared else _grouped(where, base, files)
    for title, several in groups.items():
        _check_shards(where, title, several, "" if path.is_dir() else f" Write hf:{base} for all files of this folder.")
    only = next(iter(groups)) if len(groups) == 1 and not any(wanted.values()) else None
    if only is not None and (path.is_file() or (role(only) or Role("train", ())).part == "train"):
        parts = {"train": only}
    else:
        parts = _assigned(where, list(groups), wanted)
    tell_left_out(where, [title for title in groups if title not in parts.values()])
    features = declared[1] if declared else None
    opened = {part: _open(where, part, title, groups[title], features) for part, title in parts.items()}
    return {part: split for part, split in opened.items() if split is not None}


def _assigned(where: str, titles: list[str], wanted: Mapping[str, str | None]) -> dict[str, str]:
    """Assign files to parts; a lone `mnist_train` counts although nothing stands beside it."""
    roles: dict[str, Role] = {title: found for title in titles if (found := role(title))}
    paired = {title for group in parts_of(titles).values() for title in group}
    lone = [t for t in roles if t not in paired and [r.part for r in roles.values()].count(roles[t].part) == 1]
    parts = assign(where, titles, {**{roles[t].part: t for t in lone}, **{k: v for k, v in wanted.items() if v}})
    if "train" not in parts:
        raise UserError(
            f"'{where}' has no training split among {', '.join(titles)}. Name one: {where}[train={titles[0]}]."
        )
    return parts


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
            return _grouped(where, path, table_files(path)), features
        try:
            builder = hub.load_dataset_builder(str(path), config, cache_dir=converted([card]))
        except ValueError:
            check_config(where, hub.get_dataset_config_names(str(path)), config)
            raise
    files = builder.config.data_files or {}
    return {str(split): [Path(file) for file in several] for split, several in files.items()}, builder.info.features


def check_config(where: str, names: Sequence[str], config: str | None) -> None:
    """Raise UserError for a configuration that is none of these, and if none of several was named."""
    if config is None and len(names) > 1:
        listed = ", ".join(names)
        raise UserError(f"'{where}' has several configurations ({listed}). Name one: {where}[config={names[0]}].")
    if config is not None and config not in names:
        raise UserError(f"'{where}' has no configuration '{config}'.{nearest(config, names)}")


def _grouped(where: str, base: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Group files by the split that their names, or the folders they lie in, tell; one group if none tells any."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_title(where, file.relative_to(base)), []).append(file)
    groups = found if any(role(title) for title in found) else {"train": list(files)}
    for title, several in groups.items():
        folders = sorted({str(file.parent.relative_to(base)) for file in several})
        if len({file.name for file in several}) < len(several):
            raise UserError(
                f"Split '{title}' of '{where}' has files of the same names in several folders ({', '.join(folders)}). "
                f"If these are configurations, name the folder of one: hf:{base / folders[0]}."
            )
    return groups


def _title(where: str, file: PurePath) -> str:
    """Return what tells the split of a file: its stem without shard numbers, else the innermost folder that does."""
    names = [_stem(file), *reversed(file.parts[:-1])]
    told = {found.part: name for name in reversed(names) if (found := role(name))}
    if len(told) > 1:
        raise UserError(f"{file} of '{where}' is named as {' and as '.join(told)}. Rename the file or its folder.")
    return next(iter(told.values()), names[0])


def _stem(file: PurePath) -> str:
    shard = _SHARD.fullmatch(file.stem)
    return shard["stem"] if shard and shard["stem"] else file.stem


def _check_shards(where: str, title: str, files: Sequence[Path], hint: str) -> None:
    """Refuse a split of which some shards are missing, by `00000-of-00003` in the names of the others."""
    numbers: dict[tuple[Path, str, int], set[int]] = {}
    for file in files:
        shard = _SHARD.fullmatch(file.stem)
        if shard and shard["total"]:
            key = (file.parent, shard["stem"], int(shard["total"]))
            numbers.setdefault(key, set()).add(int(shard["number"]))
    for (folder, stem, total), have in numbers.items():
        first = 1 if total in have else 0
        missing = sorted({*range(first, first + total)} - have)
        if missing:
            some = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
            raise UserError(
                f"Split '{title}' of '{where}' is incomplete: of its {total} shards {stem}-…-of-{total:05} in "
                f"{folder}, {len(missing)} are missing (number {some}). Download them, or take '-of-{total:05}' out of "
                f"the names.{hint}"
            )
    versions = {(folder, stem) for folder, stem, _ in numbers}
    if len(versions) < len(numbers):
        totals = ", ".join(str(total) for _, _, total in numbers)
        raise UserError(f"Split '{title}' of '{where}' has shards of several versions (of {totals}). Keep one version.")


def _open(where: str, part: str, title: str, files: Sequence[Path], features: hub.Features | None) -> Split | None:
    """Open one split; None if it has no rows, which is said once."""
    kept = [file for file in files if file.suffix != ".parquet" or _schema(where, file)[1]]
    if not kept:
        tell_once(f"Split '{title}' of '{where}' has no images and is left out.")
        return None
    builder, chosen = BUILDERS[kept[0].suffix], {} if features is None else {"features": features}
    with opening(where, _ADVICE[kept[0].suffix]):
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


def tell_left_out(where: str, titles: Sequence[str]) -> None:
    """Say which splits are not used."""
    if titles:
        them = "splits are" if len(titles) > 1 else "split is"
        tell_once(
            f"{len(titles)} {them} left out of '{where}', as neither train, validation nor test: {', '.join(titles)}."
        )


def converted(files: Iterable[Path]) -> str:
    """Return the folder for what the library makes of some files, which it knows by their names and times alone."""
    return str(cache_dir("datasets", digests.files(sorted(files))[:16]))


@contextmanager
def opening(where: str, advice: str) -> Iterator[None]:
    """Turn what the library raises while it opens a dataset into a UserError that ends with advice."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library and its file systems raise many kinds
        raise UserError(f"'{where}' cannot be opened ({reason(error)}). {advice}.") from error


def reason(error: BaseException) -> str:
    """Return the first line of what went wrong first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().partition("\n")[0] or type(error).__name__).rstrip(".")
