"""Any folder of images: one sub-folder per class, below train/val/test folders or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.datasets import official
from bench.datasets.decode import FORMATS
from bench.datasets.images import ImageDataset
from bench.datasets.selection import Selection
from bench.datasets.stores import FileStore
from bench.errors import UserError
from bench.system.paths import user_path
from bench.system.recall import watch, watch_tree

PARTITIONS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def folder(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """Any image folder, folder:PATH: a sub-folder per class, optionally below train, val and test.

    Images may have any size, and be RGB, grey, palette, transparent (shown on white) or 16-bit. A file is an image by
    its suffix or content. Other files, and hidden, tools' and output folders, are passed over, which is said once.
    Beside `train` only `val` and `test` count.
    """
    if argument is None:
        raise UserError("'folder' needs the path of the images. Write folder:PATH.")
    root = _root(argument, data_dir)
    watch_tree(root)
    selection = Selection(root)
    parts = {name: _first(root, choices) for name, choices in PARTITIONS.items()}
    if parts["train"] is None or not selection.folders(parts["train"]):
        parts = {"train": root, "val": None, "test": None}
    train = parts["train"]
    assert train is not None
    names = [c.name for c in selection.folders(train)]
    if len(names) < 2:
        what = f"only the class folder '{names[0]}'" if names else "no class folders"
        raise UserError(f"{train} has {what}. Put the images of each class into a sub-folder of its own, two at least.")
    paths: list[Path] = []
    labels: list[int] = []
    partition: list[str] = []
    for part, base in parts.items():
        for label, files in _labelled(selection, base, names, whole=part == "train") if base else ():
            paths += files
            labels += [label] * len(files)
            partition += [part] * len(files)
    selection.tell()
    title = f"folder:{root.name}"
    return ImageDataset(
        title,
        official.source(root.name) or title,
        tuple(names),
        np.array(labels, dtype=np.int64),
        np.array(partition),
        FileStore(tuple(paths)),
    )


def _root(argument: str, data_dir: Path | None) -> Path:
    given = user_path(argument)
    places = (given, *([data_dir / given] if data_dir else []))
    watch(*places)
    root = next((p for p in places if p.is_dir()), None)
    if root is None:
        also = f", nor does {data_dir / given}" if data_dir and not given.is_absolute() else ""
        raise UserError(f"The image folder {given} does not exist{also}. Write folder:PATH with a folder of classes.")
    return root.resolve()


def _first(root: Path, choices: Sequence[str]) -> Path | None:
    return next((root / name for name in choices if (root / name).is_dir()), None)


def _labelled(selection: Selection, base: Path, names: Sequence[str], *, whole: bool) -> list[tuple[int, list[Path]]]:
    """Return the files per class below a partition's folder; no class of the `whole` may be empty."""
    found = []
    for place in selection.folders(base):
        if place.name not in names:
            raise UserError(f"{place} is a class that has no training images. Valid classes: {', '.join(names)}.")
        files = selection.images(place)
        if whole and not files:
            raise UserError(f"The class folder {place} has no images ({', '.join(FORMATS)}). Fill or remove it.")
        found.append((names.index(place.name), files))
    return found
