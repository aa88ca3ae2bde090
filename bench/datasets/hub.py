"""Any Hugging Face dataset for image or text classification, from the hub or a local folder, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import datasets as hub
import numpy as np
import pyarrow as pa

from bench.datasets import columns, official
from bench.datasets.classes import unite
from bench.datasets.folder import open_folder
from bench.datasets.images import ImageDataset
from bench.datasets.labels import Labels
from bench.datasets.nearby import archives, extraction, is_archive, similar
from bench.datasets.roles import PARTS, assign, role
from bench.datasets.saved import is_saved, open_saved
from bench.datasets.selection import Selection
from bench.datasets.shards import BUILDERS, table_files
from bench.datasets.splits import Split, check_config, converted, opening, reason, tell_left_out
from bench.datasets.stores import ArrowStore, sound
from bench.datasets.tables import open_tables
from bench.datasets.texts import TextDataset, checked, store, text_columns
from bench.errors import UserError
from bench.system.network import ToDownload, downloads_allowed, hub_offline
from bench.system.notices import tell_once
from bench.system.paths import user_path
from bench.system.public_data import named
from bench.system.recall import unrepeatable, watch, watch_tree

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xml", ".lance", ".h5", ".arrow")  # formats that the library reads itself


def hf(
    argument: str | None,
    data_dir: Path | None,
    *,
    image: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    config: str | None = None,
    train: str | None = None,
    val: str | None = None,
    test: str | None = None,
) -> ImageDataset | TextDataset:
    """Any Hugging Face set of images or texts, hf:NAME_OR_PATH (columns by image=, text=, text_pair=, label=; config=).

    A dataset with images is read as images unless text= is given. A path may contain parquet files, WebDataset tar
    files, image folders or a saved dataset. Splits are recognised by their names (train, validation, dev, test, eval
    …), or named by train=, val= and test=. Whatever is left out is reported once.
    """
    if argument is None:
        raise UserError("'hf' needs a dataset. Write hf:OWNER/NAME for one on the hub, or hf:PATH for a local folder.")
    where, path = f"hf:{argument}", _local(argument, data_dir)
    wanted = {"train": train, "val": val, "test": test}
    asked = {"config": config, "image": image, "text": text, "text_pair": text_pair, "label": label, **wanted}
    if image is not None and (text or text_pair) is not None:
        raise UserError(f"'{where}' cannot be read both as images and as texts. Leave image= or text= out.")
    title = f"hf:{path.name if path else argument}"
    chosen = [f"{k}={v}" for k, v in asked.items() if v is not None]
    name = title + (f"[{','.join(chosen)}]" if chosen else "")
    parts = (path.parts, user_path(argument).parts) if path else (argument.split("/"),)
    source = next(filter(None, (named(*part) for part in (*parts, [config or ""]))), None) or title
    drawn = official.drawn(path.name if path else argument, title)
    if path is not None and _is_image_folder(path):
        _no_config(where, config)
        if label or image or text or text_pair:
            raise UserError(f"'{where}' is a folder of images without columns. Leave label=, image= and text= out.")
        return open_folder(where, path, name, source, drawn, wanted)
    splits = _with_rows(where, _open(where, argument, path, config, wanted))
    features = splits["train"].data.features
    label_column = columns.label_column(where, features, label)
    if text or text_pair or (image is None and not columns.may_hold_images(features)):
        inputs = text_columns(where, list(features), columns.texts(features, label_column), text, text_pair)
    else:
        inputs = (columns.image_column(where, features, image),)
    of_texts = text is not None or text_pair is not None or columns.is_text(features[inputs[0]])
    if of_texts and (other := next((name for name in inputs if not columns.is_text(features[name])), None)):
        raise UserError(f"Column '{other}' of '{where}' does not contain texts. Name another: text=COLUMN.")
    names, labels = unite(where, {part: _labels(where, split, label_column) for part, split in splits.items()})
    kept = [splits[part] for part in labels]
    for split in kept:
        if missing := [column for column in inputs if column not in split.data.column_names]:
            option = "text" if of_texts else "image"
            raise UserError(
                f"Split '{split.title}' of '{where}' has no column '{missing[0]}'. Name another: {option}=."
            )
    files = tuple(Path(f["filename"]) for split in kept for f in split.data.cache_files)
    watch(*files)
    codes = np.concatenate(list(labels.values()))
    partition = np.repeat(np.array(list(labels)), [len(values) for values in labels.values()])
    places = tuple(f"split '{split.title}' of '{where}'" for split in kept)
    if of_texts:
        pairs = zip(kept, places, strict=True)
        held = [[checked(_column(split.data, name), name, place) for name in inputs] for split, place in pairs]
        return TextDataset(name, source, names, codes, partition, store(held, files, inputs), drawn=drawn)
    images = ArrowStore(lambda: [_column(split.data, inputs[0]) for split in kept], files, inputs[0], places)
    return ImageDataset(name, source, names, codes, partition, images, drawn=drawn)


def _local(argument: str, data_dir: Path | None) -> Path | None:
    """Return the local folder or file of an argument; None for a name on the hub."""
    given = user_path(argument)
    places = (given, *([data_dir / given] if data_dir else []))
    watch(*places)
    for path in places:
        if path.exists():
            watch_tree(path)
            return path.resolve()
    if argument[0] in "./~$" or given.suffix == ".parquet" or argument.count("/") > 1:
        raise UserError(
            f"{given} does not exist.{similar(given)} Write hf:PATH with a folder of parquet files or images."
        )
    return None


def _open(
    where: str, argument: str, path: Path | None, config: str | None, wanted: Mapping[str, str | None]
) -> dict[str, Split]:
    """Return the splits that are used, by part."""
    if path is None:
        return _downloaded(where, argument, config, wanted)
    if is_archive(path) and path.suffix != ".tar":
        raise UserError(f"{path} is an archive. Extract it ({extraction(path)}), and write hf:PATH with the folder.")
    if not path.is_dir() and (not path.is_file() or path.suffix not in BUILDERS):
        raise UserError(f"{path} is neither a parquet nor a tar file. Write hf:PATH with one of these, or a folder.")
    if path.is_dir() and is_saved(path):
        _no_config(where, config)
        return open_saved(where, path, wanted)
    files = [path] if path.is_file() else table_files(path)
    if files and not list(path.glob("**/metadata.parquet")):
        if path.is_file():
            _no_config(where, config)
        return open_tables(where, path, files, config, wanted)
    if packed := archives([path, *path.glob("*/")]):
        raise UserError(f"{packed[0]} has not been extracted. Run {extraction(packed[0])} first.")
    with opening(where, f"Check that {path} contains parquet files or image folders"):
        made = converted(file for file in path.rglob("*") if file.is_file())
        found = hub.load_dataset(str(path), config, cache_dir=made)
        _check_recognised(where, path, found)
        return _assigned(where, found, wanted)


def _is_image_folder(path: Path) -> bool:
    """Return whether a path is a folder of image files without metadata files."""
    if not path.is_dir() or is_saved(path) or table_files(path) or any(path.glob("**/metadata.*")):
        return False
    return Selection(path).holds(path)


def _check_recognised(where: str, path: Path, found: hub.DatasetDict) -> None:
    """Refuse folders and tables named as a split that the library does not recognise and would use for training."""
    seen = {named.part for split in found if (named := role(str(split)))}
    for place in sorted(path.rglob("*")):
        named = role(place.stem) if place.is_dir() or place.suffix in TABLES else None
        if named and not named.rest and named.part not in seen:
            raise UserError(
                f"{place} of '{where}' is named as {PARTS[named.part]} images, but the library that reads it finds "
                f"splits in lower case only. Rename it to {named.part}."
            )


def _no_config(where: str, config: str | None) -> None:
    if config is not None:
        raise UserError(f"'{where}' has no configurations. Leave config={config} out.")


def _downloaded(where: str, name: str, config: str | None, wanted: Mapping[str, str | None]) -> dict[str, Split]:
    """Open a dataset of the hub, from its cache if it is there."""
    unrepeatable()  # the hub may have a newer version
    try:
        with hub_offline(not downloads_allowed()):
            return _assigned(where, hub.load_dataset(name, config), wanted)
    except UserError:
        raise
    except Exception as error:  # the hub and its file systems raise many kinds
        if "onfig" in str(error):
            check_config(where, _configs(name) or [config or ""], config)
        if not downloads_allowed():
            raise ToDownload(f"'{where}'") from error
        advice = "Check the name and the network, or give the path of a local copy"
        raise UserError(f"'{where}' cannot be opened ({reason(error)}). {advice}.") from error


def _configs(name: str) -> list[str]:
    try:
        with hub_offline(not downloads_allowed()):
            return list(map(str, hub.get_dataset_config_names(name)))
    except Exception:  # as above
        return []


def _assigned(where: str, found: hub.Dataset | hub.DatasetDict, wanted: Mapping[str, str | None]) -> dict[str, Split]:
    """Return the opened splits, by part."""
    splits = {"train": found} if isinstance(found, hub.Dataset) else {str(name): data for name, data in found.items()}
    parts = assign(where, list(splits), wanted)
    tell_left_out(where, [title for title in splits if title not in parts.values()])
    if "train" not in parts:
        first = next(iter(splits), "NAME")
        raise UserError(
            f"'{where}' has no split 'train'. It has: {', '.join(splits)}. Name one: {where}[train={first}]."
        )
    return {part: Split(title, splits[title]) for part, title in parts.items()}


def _with_rows(where: str, splits: Mapping[str, Split]) -> dict[str, Split]:
    """Leave out splits without rows, which is reported once; UserError if the training split has none."""
    found = {}
    for part in PARTS:
        if part not in splits:
            continue
        if len(splits[part].data):
            found[part] = splits[part]
        else:
            tell_once(f"Split '{splits[part].title}' of '{where}' has no images and is left out.")
    if "train" not in found:
        raise UserError(f"'{where}' has no training images. Add some, or name another split: {where}[train=NAME].")
    return found


def _labels(where: str, split: Split, column: str) -> Labels:
    """Return the labels of one split as they are stored, with their names."""
    if column not in split.data.column_names:
        return Labels(split.title, np.full(len(split.data), None))
    columns.checked(where, split.data.features, column)
    kind = split.data.features[column]
    names = tuple(map(str, kind.names)) if isinstance(kind, hub.ClassLabel) else None
    stored = split.names(column)
    if names and stored and names != stored:
        raise UserError(
            f"The README of '{where}' and the files of split '{split.title}' name the classes of column '{column}' "
            "differently. Correct one of them."
        )
    sound(split.data.data.column(column), f"split '{split.title}' of '{where}'")
    values = split.data.with_format("arrow")[column][:]
    values = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    raw = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    return Labels(split.title, raw, names)


def _column(data: hub.Dataset, name: str) -> pa.ChunkedArray:
    """Return one Arrow column in row order, still memory-mapped and encoded."""
    flat = data.flatten_indices() if data._indices is not None else data
    return flat.data.column(name)
