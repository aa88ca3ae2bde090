"""Any Hugging Face image-classification dataset, from the hub or from a local folder, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import datasets as hub
import numpy as np
import pyarrow as pa

from bench.datasets import official
from bench.datasets.images import ImageDataset
from bench.datasets.stores import ArrowStore
from bench.errors import UserError, nearest
from bench.system.cache import cache_dir
from bench.system.network import ToDownload, downloads_allowed, hub_offline
from bench.system.paths import user_path
from bench.system.recall import unrepeatable, watch, watch_tree

LABELS = ("label", "labels", "fine_label", "class", "target", "y")
SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}


def hf(
    argument: str | None,
    data_dir: Path | None,
    *,
    image: str | None = None,
    label: str | None = None,
    config: str | None = None,
) -> ImageDataset:
    """Any Hugging Face image dataset, hf:NAME_OR_PATH (columns by image=, label=; configuration by config=).

    A path may hold parquet files, image folders or a saved dataset. The splits train, validation and test are used;
    a split without labels (all -1 or missing) is passed over, and so are splits of other names.
    """
    if argument is None:
        raise UserError("'hf' needs a dataset. Write hf:OWNER/NAME for one on the hub, or hf:PATH for a local folder.")
    path = _local(argument, data_dir)
    parts = _open(argument, path, config)
    features = next(iter(parts.values())).features
    image_column = _image_column(argument, features, image)
    label_column = _label_column(argument, features, label)
    raw = {part: _values(argument, data, label_column) for part, data in parts.items()}
    rows = {part: values for part, values in raw.items() if values is not None}
    if "train" not in rows:
        raise UserError(f"'hf:{argument}' has no labels in its training split. Choose another column with label=.")
    names, labels = _encode(features[label_column], rows)
    if len(names) < 2:
        raise UserError(f"Column '{label_column}' of 'hf:{argument}' has one class only. Choose another with label=.")
    kept = [parts[part] for part in rows]
    files = tuple(Path(f["filename"]) for data in kept for f in data.cache_files)
    watch(*files)
    title = f"hf:{path.name if path else argument}"
    chosen = [f"{k}={v}" for k, v in (("config", config), ("image", image), ("label", label)) if v is not None]
    return ImageDataset(
        title + (f"[{','.join(chosen)}]" if chosen else ""),
        official.source(path.name if path else argument) or title,
        names,
        np.concatenate([labels[part] for part in rows]),
        np.repeat(np.array(list(rows)), [len(v) for v in rows.values()]),
        ArrowStore(lambda: _column(kept, image_column), files, image_column),
    )


def _local(argument: str, data_dir: Path | None) -> Path | None:
    """Return the local folder or file that is meant; None for a name on the hub."""
    given = user_path(argument)
    places = (given, *([data_dir / given] if data_dir else []))
    watch(*places)
    for path in places:
        if path.exists():
            watch_tree(path)
            return path.resolve()
    if argument[0] in "./~$" or given.suffix == ".parquet" or argument.count("/") > 1:
        raise UserError(f"{given} does not exist. Write hf:PATH with a folder of parquet files or images.")
    return None


def _open(argument: str, path: Path | None, config: str | None) -> dict[str, hub.Dataset]:
    """Return the splits that are used, by partition."""
    try:
        with hub_offline(not downloads_allowed()):
            found = _load(argument, path, config)
    except Exception as error:  # the hub and its file systems raise many kinds
        if path is None and not downloads_allowed():
            raise ToDownload(f"'hf:{argument}'") from error
        reason = (str(error).strip().partition("\n")[0] or type(error).__name__).rstrip(".")
        advice = (
            f"Check that {path} contains parquet files or image folders"
            if path
            else "Check the name and the network, or give the path of a local copy"
        )
        raise UserError(f"'hf:{argument}' cannot be opened ({reason}). {advice}.") from error
    splits: Mapping[str, hub.Dataset] = {"train": found} if isinstance(found, hub.Dataset) else found
    parts: dict[str, hub.Dataset] = {}
    for split, data in splits.items():
        part = SPLITS.get(str(split))
        if part is not None and part not in parts and len(data):
            parts[part] = data
    if "train" not in parts:
        raise UserError(f"'hf:{argument}' has no split 'train' with rows. It has: {', '.join(map(str, splits))}.")
    return {part: parts[part] for part in ("train", "val", "test") if part in parts}


def _load(argument: str, path: Path | None, config: str | None) -> hub.Dataset | hub.DatasetDict:
    if path is None:
        unrepeatable()  # the hub may hold something newer
        return hub.load_dataset(argument, config)
    converted = str(cache_dir("datasets"))
    if path.is_file():
        return hub.load_dataset("parquet", data_files={"train": str(path)}, cache_dir=converted)
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return hub.load_from_disk(str(path))
    return hub.load_dataset(str(path), config, cache_dir=converted)


def _image_column(argument: str, features: hub.Features, wanted: str | None) -> str:
    found = [name for name, kind in features.items() if isinstance(kind, hub.Image)]
    encoded = [n for n, kind in features.items() if _binary(kind) or (isinstance(kind, dict) and "bytes" in kind)]
    return _one(argument, "image", wanted, found or encoded, valid=found + encoded, preferred=("image", "img"))


def _label_column(argument: str, features: hub.Features, wanted: str | None) -> str:
    classes = [name for name, kind in features.items() if isinstance(kind, hub.ClassLabel)]
    plain = [n for n, kind in features.items() if isinstance(kind, hub.Value) and ("int" in kind.dtype or _text(kind))]
    named = [name for name in plain if name in LABELS]
    return _one(argument, "label", wanted, classes or named or plain, valid=classes + plain, preferred=LABELS)


def _binary(kind: object) -> bool:
    return isinstance(kind, hub.Value) and kind.dtype in ("binary", "large_binary")


def _text(kind: hub.Value) -> bool:
    return kind.dtype in ("string", "large_string", "bool")


def _one(
    argument: str, role: str, wanted: str | None, found: list[str], *, valid: list[str], preferred: tuple[str, ...]
) -> str:
    """Return the column to use as image or label: the one asked for, the only candidate, or the best known name."""
    if wanted is not None:
        if wanted in valid:
            return wanted
        raise UserError(f"'hf:{argument}' has no {role} column '{wanted}'.{nearest(wanted, valid)}")
    choice = found[0] if len(found) == 1 else next((name for name in preferred if name in found), None)
    if choice is None:
        which = f"several columns that may be its {role}s ({', '.join(found)})" if found else f"no {role} column"
        raise UserError(f"'hf:{argument}' has {which}. Name one: hf:{argument}[{role}=COLUMN].")
    return choice


def _values(argument: str, data: hub.Dataset, column: str) -> np.ndarray | None:
    """Return the raw labels [N] of one split; None if the split has none."""
    if column not in data.column_names:
        return None
    values = data.with_format("arrow")[column][:]
    values = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    raw = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    missing = np.array([v is None or v != v or (not isinstance(v, str) and v < 0) for v in raw.tolist()])
    if missing.all():
        return None
    if missing.any():
        row = int(missing.argmax())
        raise UserError(f"'hf:{argument}' has images without a label (row {row} is the first). Remove them.")
    return raw


def _encode(feature: object, rows: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return class names, and each split's labels as int64 indices into them; classes without names are sorted."""
    if isinstance(feature, hub.ClassLabel):
        return tuple(feature.names), {part: values.astype(np.int64) for part, values in rows.items()}
    known = np.unique(np.concatenate(list(rows.values())))
    return tuple(str(v) for v in known), {part: np.searchsorted(known, values) for part, values in rows.items()}


def _column(parts: list[hub.Dataset], name: str) -> pa.ChunkedArray:
    """Return one Arrow column over all splits, in row order, still memory-mapped and encoded."""
    flat = [data.flatten_indices() if data._indices is not None else data for data in parts]
    return pa.chunked_array([chunk for data in flat for chunk in data.data.column(name).chunks])
