"""CIFAR-10, CIFAR-100 and long-tailed CIFAR-100, from parquet files or the authors' own archive."""

from __future__ import annotations

import hashlib
import pickle
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench.datasets.images import ImageDataset
from bench.datasets.locate import Found, complete, dataset, find, no_argument, partitions
from bench.datasets.official import MD5
from bench.datasets.parquet import open_parquet
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.system.recall import watch

ARCHIVE = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def cifar10(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """CIFAR-10: 50,000 + 10,000 photographs of 10 classes, 32 × 32."""
    no_argument("cifar10", argument)
    return dataset("cifar10", _find("cifar10", data_dir))


def cifar100(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """CIFAR-100: 50,000 + 10,000 photographs of 100 classes, 32 × 32."""
    no_argument("cifar100", argument)
    return dataset("cifar100", _find("cifar100", data_dir))


def cifar100lt(
    argument: str | None, data_dir: Path | None, *, imbalance: Annotated[int, Field(ge=1, le=450)] = 100
) -> ImageDataset:
    """CIFAR-100 with a long-tailed training split (imbalance=100) and balanced val, cal and test."""
    no_argument("cifar100lt", argument)
    name = "cifar100lt" if imbalance == 100 else f"cifar100lt[imbalance={imbalance}]"
    return dataset("cifar100", _find("cifar100", data_dir), name=name, imbalance=imbalance)


def _find(key: str, data_dir: Path | None) -> Found:
    openers = (partial(open_parquet, key), partial(open_archive, key))
    layouts = f"{key}/train-*.parquet with {key}/test-*.parquet, or {ARCHIVE[key]}/"
    return find(key, data_dir, openers, layouts, partial(_download, key))


def _download(key: str, folder: Path) -> None:
    from bench.system.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import datasets as vision

    (vision.CIFAR10 if key == "cifar10" else vision.CIFAR100)(str(folder), download=True)


def open_archive(key: str, root: Path) -> Found | None:
    """Open the authors' extracted archive in a data folder; return None if there is none."""
    itself = root.resolve().name == ARCHIVE[key] or all((root / name).is_file() for name in MD5[key])
    bases = [root / ARCHIVE[key], root / key / ARCHIVE[key], *([root] if itself else [])]
    watch(*bases, *(root / name for name in MD5[key]))
    base = next((b for b in bases if b.is_dir()), None)
    if base is None:
        return None
    watch(*(base / name for name in MD5[key]))
    *batches, test, meta = MD5[key]
    verified = all(_md5(base / name) == checksum for name, checksum in MD5[key].items())
    parts = [_load(base / name) for name in (*batches, test)]
    names = _load(base / meta)
    try:
        labels = [np.asarray(part["fine_labels" if key == "cifar100" else "labels"], dtype=np.int64) for part in parts]
        pixels = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        classes = tuple(str(c) for c in names["fine_label_names" if key == "cifar100" else "label_names"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The files in {base} are not those of {key} ({error}). Extract the archive again.") from error
    train = np.concatenate(labels[:-1])
    problem = complete(key, base, train, labels[-1])
    if problem:
        raise UserError(f"{problem}. Extract the archive again.")
    images = pixels.transpose(0, 2, 3, 1)
    store = ArrayStore(lambda: images, tuple(base / name for name in MD5[key]))
    rows = np.concatenate([train, labels[-1]])
    return Found(classes, rows, partitions(len(train), len(labels[-1])), store, verified)


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Extract the archive again.") from error


class _ArraysOnly(pickle.Unpickler):
    """Read plain containers and NumPy arrays; refuse anything else in the file, so that no code can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not data")


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Extract the archive again.") from error
