"""Public text sets by name, from parquet files in the hub's layout, or from the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.classes import unite
from bench.datasets.labels import Labels, natural
from bench.datasets.locate import Found, find, no_argument
from bench.datasets.official import DIGESTS, FAMILY
from bench.datasets.parquet import split_labels
from bench.datasets.texts import TextDataset, checked, store
from bench.errors import UserError
from bench.system.files import open_regular
from bench.system.recall import watch

FILES = {"train": "train", "val": "validation", "test": "test"}  # part → name of its files
TEXT = "text"
OUT_OF_SCOPE = "oos"  # a class of the hub's CLINC150 besides the 150 intents
HUB = {"banking77": ("PolyAI/banking77", None), "clinc150": ("clinc_oos", "plus")}  # name and configuration
CONVERTED = "refs/convert/parquet"  # the hub's own copy of a set that is stored as a script


def banking77(argument: str | None, data_dir: Path | None) -> TextDataset:
    """Banking77: 10,003 + 3,080 customers' queries to a bank, 77 intents."""
    return _dataset("banking77", argument, data_dir)


def clinc150(argument: str | None, data_dir: Path | None) -> TextDataset:
    """CLINC150: 15,000 + 3,000 + 4,500 queries to an assistant, 150 intents; those out of scope are left out."""
    return _dataset("clinc150", argument, data_dir)


def _dataset(key: str, argument: str | None, data_dir: Path | None) -> TextDataset:
    no_argument(key, argument)
    layouts = f"{key}/train-*.parquet with {key}/test-*.parquet"
    found = find(key, data_dir, (partial(open_texts, key),), layouts, partial(_download, key))
    kept = (found.class_names, found.labels, found.partition, found.store)
    return TextDataset(key, key, *kept, official=DIGESTS[key])


def open_texts(key: str, root: Path) -> Found | None:
    """Open the copy of a public text set in a data folder; None if there is none.

    Other content in a sub-folder of the dataset's name raises UserError; files in the data folder itself may belong to
    any dataset, and are ignored if they have other classes.
    """
    for sub in FAMILY[key].folders:
        base = root / sub
        watch(base)
        files = {part: sorted(base.glob(f"{name}-*.parquet")) for part, name in FILES.items()}
        files = {part: found for part, found in files.items() if found}
        if not {"train", "test"} <= files.keys():
            if sub and files:
                raise UserError(f"{base} has no train-*.parquet or test-*.parquet. Complete or move it.")
            continue
        watch(*(file for found in files.values() for file in found))
        found = _read(key, base, files)
        if isinstance(found, Found):
            return found
        if sub:
            raise UserError(f"{found}. Complete it, or move it out of {root}.")
    return None


def _read(key: str, base: Path, files: dict[str, list[Path]]) -> Found | str:
    """Return the copy in these files, or what is wrong with it."""
    official, every = FAMILY[key], [file for found in files.values() for file in found]
    try:
        for file in every:
            open_regular(file).close()  # Arrow would block on a pipe
        schema = pq.read_schema(every[0])
        label = next((name for name in official.label if name in schema.names), None)
        if label is None or TEXT not in schema.names:
            return f"The columns of {every[0]} ({', '.join(schema.names)}) are not those of {official.title}"
        stored = {part: split_labels(part, found, label) for part, found in files.items()}
        columns = {part: _texts(found) for part, found in files.items()}
    except (OSError, pa.ArrowException) as error:
        return f"The parquet files in {base} cannot be read ({str(error).strip()})"
    inside = {part: np.flatnonzero(_in_scope(labels)) for part, labels in stored.items()}
    stored = {part: replace(labels, values=labels.values[inside[part]]) for part, labels in stored.items()}
    names, codes = unite(str(base), stored)
    sizes = {part: len(values) for part, values in codes.items()}
    if len(names) != official.classes or any(name.isdigit() for name in names):
        return f"{every[0]} does not have the {official.classes} named classes of {official.title}"
    if wrong := next((part for part in FILES if sizes.get(part, 0) != getattr(official, part)), None):
        expected = getattr(official, wrong)
        return f"{base} has {sizes.get(wrong, 0):,} texts in {FILES[wrong]}, but {official.title} has {expected:,}"
    order = natural(names)  # the same for every copy, independent of the numbers in its files
    index = np.array([order.index(name) for name in names])
    held = [[checked(columns[part].take(pa.array(inside[part])), TEXT, f"{FILES[part]} in {base}")] for part in codes]
    partition = np.repeat(np.array(list(codes)), list(sizes.values()))
    return Found(tuple(order), index[np.concatenate(list(codes.values()))], partition, store(held, every, [TEXT]))


def _in_scope(labels: Labels) -> np.ndarray:
    if labels.names is None or OUT_OF_SCOPE not in labels.names:
        return np.ones(len(labels.values), dtype=bool)
    return labels.values != labels.names.index(OUT_OF_SCOPE)


def _texts(files: Sequence[Path]) -> pa.ChunkedArray:
    return pa.chunked_array([c for file in files for c in pq.read_table(file, columns=[TEXT]).column(0).chunks])


def _download(key: str, folder: Path) -> None:
    """Write the hub's copy into `folder/key` as parquet files."""
    import datasets as hub

    name, config = HUB[key]
    try:
        found = hub.load_dataset(name, config)
    except (RuntimeError, ValueError):  # a script, which is not run
        found = hub.load_dataset(name, config, revision=CONVERTED)
    (folder / key).mkdir(parents=True, exist_ok=True)
    for split, data in found.items():
        data.to_parquet(str(folder / key / f"{split}-00000-of-00001.parquet"))
