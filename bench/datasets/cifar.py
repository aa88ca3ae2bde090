"""CIFAR-10, CIFAR-100 and long-tailed CIFAR-100, from parquet files or the authors' own archive."""

from __future__ import annotations

import hashlib
import pickle
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench.datasets.images import ImageDataset
from bench.datasets.locate import Found, complete, dataset, find, no_argument, partitions
from bench.datasets.official import FAMILY, MD5
from bench.datasets.parquet import open_parquet
from bench.datasets.stores import ArrayStore
from bench.errors import UserError
from bench.system.files import open_regular
from bench.system.recall import watch

ARCHIVE = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
MOST_BYTES = 1 << 28  # per file: the largest has 155 MB


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
        images = [pixels.reshape(-1, 3, 32, 32) for pixels in (part["data"].array() for part in parts)]
        if [len(part) for part in labels] != [len(part) for part in images]:
            raise ValueError("their numbers of labels and images differ")
        classes = names["fine_label_names" if key == "cifar100" else "label_names"]
        if len(classes) != FAMILY[key].classes or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"{meta} does not name {FAMILY[key].classes} classes")
    except Exception as error:  # a file with other content may raise anything
        raise UserError(f"The files in {base} are not those of {key} ({error}). Extract the archive again.") from error
    train = np.concatenate(labels[:-1])
    problem = complete(key, base, train, labels[-1])
    if problem:
        raise UserError(f"{problem}. Extract the archive again.")
    pixels = np.concatenate(images).transpose(0, 2, 3, 1)
    store = ArrayStore(lambda: pixels, tuple(base / name for name in MD5[key]))
    rows = np.concatenate([train, labels[-1]])
    return Found(tuple(classes), rows, partitions(len(train), len(labels[-1])), store, verified)


def _md5(path: Path) -> str:
    try:
        with open_regular(path, MOST_BYTES) as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Extract the archive again.") from error


class _Array:
    """A pickle's description of a NumPy array; the array is made from it later, after checking every size."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """Return the array, uint8; raise ValueError if it has another type or its sizes do not agree."""
        _, shape, kind, by_columns, content = self.state
        data = content.encode("latin1") if isinstance(content, str) else content  # written by Python 2
        if getattr(kind, "code", None) != "u1":
            raise ValueError("its images are not bytes")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Type:
    """A pickle's description of an array's type."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Ignore the byte order."""


_ALLOWED = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
}


class _ArraysOnly(pickle._Unpickler):  # type: ignore[name-defined, misc]  # in Python: the C version trusts sizes
    """Unpickle plain containers and array descriptions; refuse anything else, so that no code can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not data")


def _load(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path, MOST_BYTES) as file:
            return _ArraysOnly(BytesIO(file.read()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}). Extract the archive again.") from error
