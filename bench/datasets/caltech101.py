"""Caltech-101, from parquet files in the hub's layout or from the authors' folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.images import ImageDataset
from bench.datasets.known import CLASSES
from bench.datasets.locate import Found, dataset, find, no_argument, partitions
from bench.datasets.official import FAMILY
from bench.datasets.parquet import IMAGE_COLUMNS, split_labels
from bench.datasets.stores import ArrowStore, FileStore
from bench.errors import UserError
from bench.system.files import open_regular
from bench.system.recall import watch, watch_tree

KEY = "caltech101"
HUB = "flwrlabs/caltech101"  # one split, 101 classes, the authors' JPEG files
LEFT_OUT = ("faces_easy", "background_google")
FOLDERS = tuple(f"{base}101_ObjectCategories" for base in ("caltech101/", "caltech-101/", ""))  # torchvision, authors
LAYOUTS = f"{KEY}/train-*.parquet, with {KEY}/test-*.parquet or without, or {FOLDERS[0]}/"


def caltech101(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """Caltech-101: 8,242 photographs of 100 kinds of objects, 31 to 800 each (background and Faces_easy are left out).

    The background is not a class but images of none of them. Faces_easy contains the photographs of Faces again,
    cropped, so a split could put copies on both sides.
    The authors defined no split. If a copy has a test file, that is the test set; otherwise the protocol draws 20 %
    (`bench.protocol.split`). The pool, from which val and cal are drawn, is 20 % of the rest.
    """
    no_argument(KEY, argument)
    return dataset(KEY, find(KEY, data_dir, (open_tables, open_folders), LAYOUTS, _download))


def _download(folder: Path) -> None:
    import datasets as hub

    base = folder / KEY
    base.mkdir(parents=True, exist_ok=True)
    unfinished = base / "train.tmp"
    hub.load_dataset(HUB, split="train").to_parquet(str(unfinished))
    unfinished.rename(base / "train-00000-of-00001.parquet")


def open_tables(root: Path) -> Found | None:
    """Open parquet files in a data folder or its `caltech101`; return None if there are none.

    Other content in a sub-folder of the dataset's name raises UserError; files in the data folder itself may belong to
    any dataset, and are ignored if they have other classes.
    """
    for sub in FAMILY[KEY].folders:
        base = root / sub
        watch(base)
        files = {part: sorted(base.glob(f"{part}-*.parquet")) for part in ("train", "test")}
        if not files["train"]:
            if sub and files["test"]:
                raise UserError(
                    f"{base} has test-*.parquet, but no train-*.parquet. Complete it, or move it elsewhere."
                )
            continue
        watch(*files["train"], *files["test"])
        found = _read(base, {part: held for part, held in files.items() if held})
        if isinstance(found, Found):
            return found
        if sub:
            raise UserError(f"{found}. Complete it, or move it out of {root}.")
    return None


def open_folders(root: Path) -> Found | None:
    """Open the authors' folder of class folders, as torchvision extracts it; return None if it is not there."""
    bases = [root / sub for sub in FOLDERS]
    watch(*bases)
    base = next((base for base in bases if base.is_dir()), None)
    if base is None:
        return None
    watch_tree(base)
    places = sorted(place for place in base.iterdir() if place.is_dir() and not place.name.startswith("."))
    codes = _codes(place.name for place in places)
    if isinstance(codes, str):
        raise UserError(f"{base} has {codes}. Extract the archive again.")
    held = [(file, code) for place, code in zip(places, codes, strict=True) for file in sorted(place.glob("*.jpg"))]
    held = [(file, code) for file, code in held if code >= 0]
    if problem := _incomplete(base, len(held)):
        raise UserError(f"{problem}. Extract the archive again.")
    labels = np.array([code for _, code in held], dtype=np.int64)
    return Found(CLASSES[KEY], labels, partitions(len(held), 0), FileStore(tuple(file for file, _ in held)))


def _read(base: Path, files: Mapping[str, Sequence[Path]]) -> Found | str:
    """Return the copy in these files, or what is wrong with it."""
    official, every = FAMILY[KEY], [file for found in files.values() for file in found]
    try:
        for file in every:
            open_regular(file).close()  # Arrow would block on a pipe
        columns = pq.read_schema(every[0]).names
        image = next((c for c in IMAGE_COLUMNS if c in columns), None)
        label = next((c for c in official.label if c in columns), None)
        if image is None or label is None:
            return f"The columns of {every[0]} ({', '.join(columns)}) are not those of {official.title}"
        stored = {part: split_labels(part, found, label) for part, found in files.items()}
    except UserError as error:
        return str(error).rstrip(".")
    except (OSError, pa.ArrowException) as error:
        return f"The parquet files in {base} cannot be read ({str(error).strip()})"
    labels = []
    for part, one in stored.items():
        codes = _codes(one.names or ())
        if isinstance(codes, str):
            return f"{files[part][0]} has {codes}"
        if len(one.values) and not 0 <= one.values.min() <= one.values.max() < len(codes):
            return f"{files[part][0]} has labels that have no names"
        labels.append(codes[one.values])
    kept = [np.flatnonzero(part >= 0) for part in labels]
    if problem := _incomplete(base, sum(map(len, kept))):
        return problem
    paths, names = tuple(every), tuple(map(str, (base / f"{part}-*.parquet" for part in files)))
    store = ArrowStore(
        lambda: [_column(found, image).take(pa.array(rows)) for found, rows in zip(files.values(), kept, strict=True)],
        *(paths, image, names),
    )
    values = np.concatenate([part[rows] for part, rows in zip(labels, kept, strict=True)])
    sizes = np.array(list(map(len, kept)))
    return Found(CLASSES[KEY], values, np.repeat(np.array(list(files)), sizes), store)


def _codes(names: Iterable[str]) -> np.ndarray | str:
    """Return the class of each of a copy's names (-1: left out), or what is wrong."""
    position = {name: code for code, name in enumerate(CLASSES[KEY])} | dict.fromkeys(LEFT_OUT, -1)
    told = [name.strip().casefold().replace(" ", "_") for name in names]
    if not told:
        return "no class names"
    if other := next((name for name in told if name not in position), None):
        return f"the class '{other}', which {FAMILY[KEY].title} does not have"
    if lost := [name for name in CLASSES[KEY] if name not in told]:
        return f"no class '{lost[0]}'"
    return np.array([position[name] for name in told], dtype=np.int64)


def _incomplete(base: Path, images: int) -> str | None:
    """Return what is wrong with the number of images of the 100 classes; None if nothing is."""
    whole = FAMILY[KEY].train + FAMILY[KEY].test
    if images == whole:
        return None
    return f"{base} has {images:,} images of its {len(CLASSES[KEY])} classes, but {FAMILY[KEY].title} has {whole:,}"


def _column(files: Sequence[Path], name: str) -> pa.ChunkedArray:
    """Return a column of several files as one."""
    return pa.chunked_array([chunk for f in files for chunk in pq.read_table(f, columns=[name]).column(0).chunks])
