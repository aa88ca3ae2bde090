"""SVHN, from the authors' MATLAB files or parquet files."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from bench.datasets.images import ImageDataset
from bench.datasets.locate import Found, complete, dataset, find, no_argument, partitions
from bench.datasets.matlab import read_matlab
from bench.datasets.official import MD5
from bench.datasets.parquet import open_parquet
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.system.files import open_regular
from bench.system.recall import watch

FILES = tuple(MD5["svhn"])  # train, test
LAYOUTS = f"svhn/{FILES[0]} with svhn/{FILES[1]}, or svhn/train-*.parquet with svhn/test-*.parquet"


def svhn(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """SVHN: 73,257 + 26,032 cropped house numbers, 10 digits, 32 × 32 (the extra images are not used)."""
    no_argument("svhn", argument)
    return dataset("svhn", find("svhn", data_dir, (partial(open_parquet, "svhn"), open_matlab), LAYOUTS, _download))


def _download(folder: Path) -> None:
    from bench.system.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import datasets as vision

    for split in ("train", "test"):
        vision.SVHN(str(folder), split=split, download=True)


def open_matlab(root: Path) -> Found | None:
    """Open the authors' two files in a data folder or its `svhn`; return None if they are not there."""
    bases = (root / "svhn", root)
    watch(*(base / name for base in bases for name in FILES))
    base = next((b for b in bases if all((b / name).is_file() for name in FILES)), None)
    if base is None:
        if alone := next((b / name for b in bases for name in FILES if (b / name).is_file()), None):
            missing = next(name for name in FILES if name != alone.name)
            raise UserError(f"{alone} was found, but {missing} was not. Put it into the same folder.")
        return None
    paths = tuple(base / name for name in FILES)
    train, test = map(_labels, paths)
    problem = complete("svhn", base, train, test)
    if problem:
        raise UserError(f"{problem}. Download the two files again.")
    verified = all(_md5(path) == MD5["svhn"][path.name] for path in paths)
    sizes = (len(train), len(test))
    store = ArrayStore(lambda: np.concatenate(list(map(_images, paths, sizes))), paths)
    names = tuple("0123456789")
    return Found(names, np.concatenate([train, test]), partitions(len(train), len(test)), store, verified)


def _md5(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]


def _labels(path: Path) -> np.ndarray:
    """Return the labels of a file, int64 [N]; the digit 0 is stored as 10."""
    found = _variable(path, "y")
    if found.size != max(found.shape) or not np.isin(found, range(11)).all():
        raise _damaged(path, "its variable 'y' does not contain one digit, 1 … 10, per image")
    return found.astype(np.int64).reshape(-1) % 10


def _images(path: Path, count: int) -> np.ndarray:
    """Return the images of a file, uint8 [N, 32, 32, 3]."""
    found = _variable(path, "X")
    if found.shape != (32, 32, 3, count) or found.dtype != np.uint8:
        raise _damaged(path, f"its variable 'X' does not contain {count:,} images of 32 × 32 pixels")
    return found.transpose(3, 0, 1, 2)


def _variable(path: Path, name: str) -> np.ndarray:
    try:
        return read_matlab(path, name)
    except (OSError, ValueError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} cannot be read as a MATLAB file of SVHN: {reason}. Download it again.")
