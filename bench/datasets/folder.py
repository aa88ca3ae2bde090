"""Any folder of images: one sub-folder per class, optionally inside train/val/test folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.datasets import official
from bench.datasets.classes import unite
from bench.datasets.decode import FORMATS
from bench.datasets.images import ImageDataset
from bench.datasets.labels import Labels, natural
from bench.datasets.layout import find_parts
from bench.datasets.nearby import archives, extraction, is_archive, similar
from bench.datasets.selection import Selection
from bench.datasets.stores import FileStore
from bench.errors import UserError
from bench.system.paths import user_path
from bench.system.public_data import named
from bench.system.recall import watch, watch_tree


def folder(
    argument: str | None,
    data_dir: Path | None,
    *,
    train: str | None = None,
    val: str | None = None,
    test: str | None = None,
) -> ImageDataset:
    """Any image folder, folder:PATH: a sub-folder per class, optionally below train, val and test.

    Images may have any size, and be RGB, grey, palette, transparent (shown on white) or 16-bit. A file is an image by
    its suffix or content. Other files, and hidden, tools' and output folders, are skipped, which is reported once.
    Split folders are recognised by their names (Training, test_set, seg_train …), or named by train=, val= and test=;
    with train=. every folder is a class.
    """
    if argument is None:
        raise UserError("'folder' needs the path of the images. Write folder:PATH.")
    root = _root(argument, data_dir)
    watch_tree(root)
    wanted = {"train": train, "val": val, "test": test}
    chosen = [f"{part}={name}" for part, name in wanted.items() if name is not None]
    title = f"folder:{root.name}"
    name = title + (f"[{','.join(chosen)}]" if chosen else "")
    source = named(*root.parts) or named(*user_path(argument).parts) or title
    drawn = official.drawn(root.name, title)
    return open_folder(f"folder:{argument}", root, name, source, drawn, wanted)


def open_folder(
    where: str, root: Path, name: str, source: str, drawn: str, wanted: Mapping[str, str | None]
) -> ImageDataset:
    """Open the images in a folder as a dataset of this name and source; `where` is what the user wrote."""
    parts = find_parts(where, root, wanted)
    selection = Selection(root)
    paths, labels = [], {}
    for part, base in parts.items():
        files, labels[part] = _labelled(selection, base, "." if base == root else str(base.relative_to(root)), part)
        paths += files
    selection.tell()
    names, codes = unite(where, labels)
    partition = np.repeat(np.array(list(codes)), [len(values) for values in codes.values()])
    every = np.concatenate(list(codes.values()))
    return ImageDataset(name, source, names, every, partition, FileStore(tuple(paths)), drawn=drawn)


def _labelled(selection: Selection, base: Path, split: str, part: str) -> tuple[list[Path], Labels]:
    """Return the files of one split and their labels; UserError for an empty training class."""
    paths: list[Path] = []
    codes: list[int] = []
    places = selection.folders(base)
    names = natural(place.name for place in places)
    code = {name: i for i, name in enumerate(names)}
    for place in sorted(places, key=lambda place: code[place.name]):
        files = selection.images(place)
        if part == "train" and not files:
            raise UserError(f"The class folder {place} has no images ({', '.join(FORMATS)}). Fill or remove it.")
        codes += [code[place.name]] * len(files)
        paths += files
    if part == "train" and len(names) < 2:
        what = f"only the class folder '{names[0]}'" if names else "no class folders"
        if not names and (packed := archives([base])):
            raise UserError(f"{packed[0]} has not been extracted. Run {extraction(packed[0])} first.")
        if not names and (list(base.glob("*.parquet")) or (base / "dataset_dict.json").is_file()):
            raise UserError(f"{base} contains tables, not class folders. Write hf:{base}.")
        raise UserError(f"{base} has {what}. Put the images of each class into a sub-folder of its own, at least two.")
    return paths, Labels(split, np.array(codes, dtype=np.int64), tuple(names))


def _root(argument: str, data_dir: Path | None) -> Path:
    given = user_path(argument)
    places = (given, *([data_dir / given] if data_dir else []))
    watch(*places)
    root = next((p for p in places if p.is_dir()), None)
    if root is None:
        if archive := next((p for p in places if is_archive(p)), None):
            raise UserError(f"{archive} is an archive. Extract it ({extraction(archive)}), and give the folder.")
        if file := next((p for p in places if p.is_file()), None):
            raise UserError(f"{file} is a file. Write folder:PATH with a folder of classes, or hf:PATH for tables.")
        also = f", nor does {data_dir / given}" if data_dir and not given.is_absolute() else ""
        raise UserError(
            f"The image folder {given} does not exist{also}.{similar(given)} Write folder:PATH with class folders."
        )
    return root.resolve()
