"""Fashion-MNIST, from the authors' IDX files (as they are or compressed) or parquet files."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from bench.datasets.idx import read_idx
from bench.datasets.images import ImageDataset
from bench.datasets.known import CLASSES
from bench.datasets.locate import Found, complete, dataset, find, no_argument, partitions
from bench.datasets.parquet import open_parquet
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.system.recall import watch

KEY = "fashion_mnist"
SYSTEM = Path("/usr/share/datasets")  # of Debian's package dataset-fashion-mnist
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FOLDERS = ("FashionMNIST/raw", f"{KEY}/FashionMNIST/raw", KEY, "fashion-mnist")
SHARED = ("raw", "")  # folders that may contain MNIST or KMNIST instead, whose files have the same names
LABELS = "8ab940a680640f36c0bf1d2549cb2f3b3d4068c12547116cc7b1161b1d26663d"  # SHA-256 of the 70,000 labels
LAYOUTS = (
    f"FashionMNIST/raw/ or fashion-mnist/ with {FILES[0]} and three more, each with or without .gz, "
    f"or {KEY}/train-*.parquet with {KEY}/test-*.parquet"
)


def fashion_mnist(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """Fashion-MNIST: 60,000 + 10,000 grey images of 10 kinds of clothing, 28 × 28."""
    no_argument(KEY, argument)
    openers = (partial(open_parquet, KEY), open_idx)
    return dataset(KEY, find(KEY, data_dir, openers, LAYOUTS, _download, system=(SYSTEM,)))


def _download(folder: Path) -> None:
    from bench.system.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import datasets as vision

    vision.FashionMNIST(str(folder), download=True)


def open_idx(root: Path) -> Found | None:
    """Open the authors' four files in a data folder or a usual folder of it; return None if they are not there.

    Files in the data folder itself are ignored if their labels are those of another dataset.
    """
    for sub in (*FOLDERS, *SHARED):
        base = root / sub
        found = [_file(base, name) for name in FILES]
        there = [path for path in found if path is not None]
        if len(there) == len(FILES):
            train, test = _labels(there[1]), _labels(there[3])
            if sub not in SHARED or _sha256(train, test) == LABELS:
                return _found(base, there, train, test)
        elif there and sub not in SHARED:
            missing = FILES[found.index(None)]
            raise UserError(f"{there[0]} was found, but {missing} was not. Put it into the same folder.")
    return None


def _file(base: Path, name: str) -> Path | None:
    """Return the file of this name, or the compressed one."""
    paths = (base / name, base / f"{name}.gz")
    watch(*paths)
    return next((path for path in paths if path.is_file()), None)


def _found(base: Path, files: list[Path], train: np.ndarray, test: np.ndarray) -> Found:
    problem = complete(KEY, base, train, test)
    if problem:
        raise UserError(f"{problem}. Download the four files again.")
    sizes = (len(train), len(test))
    store = ArrayStore(lambda: np.concatenate(list(map(_images, (files[0], files[2]), sizes))), tuple(files))
    return Found(CLASSES[KEY], np.concatenate([train, test]), partitions(*sizes), store)


def _sha256(*labels: np.ndarray) -> str:
    return hashlib.sha256(np.concatenate(labels).astype(np.uint8).tobytes()).hexdigest()


def _labels(path: Path) -> np.ndarray:
    """Return the labels of a file, int64 [N]."""
    found = _read(path)
    if found.ndim != 1:
        raise _damaged(path, "it does not contain one label per image")
    return found.astype(np.int64)


def _images(path: Path, count: int) -> np.ndarray:
    """Return the images of a file, uint8 [N, 28, 28]."""
    found = _read(path)
    if found.shape != (count, 28, 28):
        raise _damaged(path, f"it does not contain {count:,} images of 28 × 28 pixels")
    return found


def _read(path: Path) -> np.ndarray:
    try:
        return read_idx(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} cannot be read as an IDX file of Fashion-MNIST: {reason}. Download it again.")
