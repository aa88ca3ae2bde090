"""The base of image and text datasets: labelled samples in storage order, read on request, with a digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from bench.datasets import digests
from bench.inputs import Modality
from bench.system.text import storable


class Store(Protocol):
    """The inputs of N samples."""

    def read(self, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """Return the inputs of these rows, in the given order. Several threads may call it."""

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files of the inputs (see `digests.files`); None if there are none."""

    def encoding(self) -> str | None:
        """Return the lossy encoding of the inputs ('jpeg90'); None if it is lossless."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """N labelled samples of C classes; all official partitions concatenated."""

    modality: ClassVar[Modality]
    scheme: ClassVar[digests.Scheme]

    name: str  # canonical, as tables show it: 'cifar100lt', 'cifar100lt[imbalance=50]', 'folder:pets'
    source: str  # whose data this is; `bench.protocol.has_seen` matches it with what a backbone was trained on
    class_names: tuple[str, ...]
    labels: np.ndarray  # int64 [N], storage order
    partition: np.ndarray  # str [N]: 'train', 'val' or 'test'
    store: Store
    official: tuple[str, ...] | None = None  # digests of the official data; None: there is no official version
    verified: bool = False  # the files themselves carry the official checksums
    released_as: str = ""  # the lossy encoding of the authors' own files: 'jpeg'
    drawn: str | None = None  # seeds the draws of splits, if different from the source
    imbalance: int | None = None  # largest over smallest class of the training split, for long-tailed versions

    def __post_init__(self) -> None:
        """Make names of folders and columns, which may be any bytes, safe to store."""
        for field in ("name", "source", "drawn"):
            if (value := getattr(self, field)) is not None:
                object.__setattr__(self, field, storable(value))
        object.__setattr__(self, "class_names", tuple(storable(str(name)) for name in self.class_names))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def longtail(self) -> bool:
        """Whether the protocol draws a long-tailed training split."""
        return self.imbalance is not None

    @property
    def native_size(self) -> int | None:
        """The typical side of an image in pixels; None for texts."""
        return None

    def read(self, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """Return the inputs of these rows, in the given order."""
        return self.store.read(rows)

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute `keys` now, or take them from the cache; `progress(done, total)` is called after every chunk."""
        if "keys" not in self.__dict__:
            self.__dict__["keys"] = digests.keys(self.scheme, self.read, self.labels, self.store.fingerprint, progress)

    @cached_property
    def keys(self) -> np.ndarray:
        """Digest of each sample's input and label: 'S32' [N], storage order; cached on disk."""
        return digests.keys(self.scheme, self.read, self.labels, self.store.fingerprint)

    @cached_property
    def digest(self) -> str:
        """Digest of all inputs and labels (64 hexadecimal digits); the order of storage does not matter."""
        return digests.combine(self.keys)

    @cached_property
    def variant(self) -> str | None:
        """Why this is not the official data: 'jpeg90', 'unverified'; None if it is, or if there is no official data."""
        if self.official is None or self.verified:
            return None
        encoding = self.store.encoding() or ""
        if encoding and not (self.released_as and encoding.startswith(self.released_as)):
            return encoding
        return None if self.digest in self.official else "unverified"
