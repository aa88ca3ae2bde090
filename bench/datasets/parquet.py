"""The hub's parquet layout of public datasets: `train-*.parquet`, `test-*.parquet`, class names in the schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.classes import unite
from bench.datasets.known import CLASSES, foreign, official_order
from bench.datasets.labels import Labels
from bench.datasets.locate import Found, complete, partitions
from bench.datasets.official import FAMILY
from bench.datasets.stores import parquet
from bench.errors import UserError
from bench.system.files import open_regular
from bench.system.recall import watch

IMAGE_COLUMNS = ("img", "image")


def open_parquet(key: str, root: Path) -> Found | None:
    """Open the copy of a public dataset in a data folder; return None if there is none.

    Other content in a sub-folder of the dataset's name raises UserError. Parquet files in the data folder itself may
    belong to any dataset, and are ignored if they belong to another.
    """
    for sub in FAMILY[key].folders:
        base = root / sub
        watch(base)
        train, test = sorted(base.glob("train-*.parquet")), sorted(base.glob("test-*.parquet"))
        if sub and bool(train) != bool(test):
            have, lack = ("train", "test") if train else ("test", "train")
            raise UserError(f"{base} has {have}-*.parquet, but no {lack}-*.parquet. Complete it, or move it elsewhere.")
        if not train or not test:
            continue
        watch(*train, *test)
        found = _read(key, base, train, test)
        if isinstance(found, Found) and (sub or not foreign(found.class_names, key)):
            return found
        if sub:
            raise UserError(f"{found}. Complete it, or move it out of {root}.")
    return None


def _read(key: str, base: Path, train: Sequence[Path], test: Sequence[Path]) -> Found | str:
    """Return the copy in these files, or what is wrong with it."""
    official = FAMILY[key]
    try:
        for file in (*train, *test):
            open_regular(file).close()  # Arrow would block on a pipe
        schema = pq.read_schema(train[0])
        image = next((c for c in IMAGE_COLUMNS if c in schema.names), None)
        label = next((c for c in official.label if c in schema.names), None)
        if image is None or label is None:
            return f"The columns of {train[0]} ({', '.join(schema.names)}) are not those of {official.title}"
        stored = {part: split_labels(part, files, label) for part, files in (("train", train), ("test", test))}
        names, found = unite(str(base), {part: replace(s, names=s.names or CLASSES[key]) for part, s in stored.items()})
    except UserError as error:
        return str(error).rstrip(".")
    except (OSError, pa.ArrowException) as error:
        return f"The parquet files in {base} cannot be read ({str(error).strip()})"
    labels = [found.get(part, np.full(0, -1)) for part in stored]
    if len(names) != official.classes:
        return f"{train[0]} has {len(names)} classes, but {official.title} has {official.classes}"
    problem = complete(key, base, *labels)
    if problem:
        return problem
    names, order = official_order(names, key)
    sizes = [len(part) for part in labels]
    return Found(names, order[np.concatenate(labels)], partitions(*sizes), parquet([*train, *test], image))


def split_labels(split: str, files: Sequence[Path], column: str) -> Labels:
    """Return the labels of a split, with the class names that all of its files agree on."""
    names = {class_names(pq.read_schema(file), column) for file in files}
    if len(names) > 1:
        raise UserError(f"The files of split '{split}' in {files[0].parent} name the classes of '{column}' differently")
    parts = [pq.read_table(file, columns=[column]).column(0).cast(pa.int64()).fill_null(-1) for file in files]
    return Labels(split, np.concatenate([part.to_numpy() for part in parts]), names.pop())


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Return the class names of a label column from the hub's schema metadata; None if there are no valid ones."""
    try:
        names = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]["names"]
    except Exception:  # the metadata may contain anything
        return None
    return tuple(names) if isinstance(names, list) and names and all(isinstance(n, str) for n in names) else None
