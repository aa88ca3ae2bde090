"""ImageDataset: labelled images in storage order, decoded on request, with a digest that no reordering changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from bench.datasets import digests
from bench.system.text import storable

BLOCK_BYTES = 1 << 26
Read = Callable[[np.ndarray], Sequence[np.ndarray]]


class Store(Protocol):
    """The pixels of N images."""

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode the images of these rows, in the order asked: uint8 [H, W, 3] each. Several threads may call it."""

    def fingerprint(self) -> str | None:
        """Return a fingerprint of the files of the pixels (see `digests.files`); None if there are none."""

    def encoding(self) -> str | None:
        """Return the lossy encoding of the images ('jpeg90'); None if it is lossless."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N labelled images of C classes; all official partitions concatenated."""

    name: str  # canonical, as tables show it: 'cifar100lt', 'cifar100lt[imbalance=50]', 'folder:pets'
    source: str  # whose images these are; `bench.protocol.has_seen` matches it with what a backbone was trained on
    class_names: tuple[str, ...]
    labels: np.ndarray  # int64 [N], storage order
    partition: np.ndarray  # str [N]: 'train', 'val' or 'test'
    store: Store
    official: tuple[str, ...] | None = None  # digests of the official data; None: there is no official version
    verified: bool = False  # the files themselves carry the official checksums
    drawn: str | None = None  # what seeds the draws of splits, where that is not the source
    imbalance: int | None = None  # largest over smallest class of the training split, for long-tailed versions

    def __post_init__(self) -> None:
        """Make names of folders and columns, which may be any bytes, names that every file can hold."""
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

    def read(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode the images of these rows, in the order asked: uint8 RGB [H, W, 3] each."""
        return self.store.read(rows)

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute `keys` now, or take them from the cache; `progress(done, total)` is called after every chunk."""
        if "keys" not in self.__dict__:
            self.__dict__["keys"] = digests.keys(self.read, self.labels, self.store.fingerprint, progress)

    @cached_property
    def keys(self) -> np.ndarray:
        """Digest of each image's pixels, shape and label: 'S32' [N], storage order; cached on disk."""
        return digests.keys(self.read, self.labels, self.store.fingerprint)

    @cached_property
    def digest(self) -> str:
        """Digest of all images and labels (64 hexadecimal digits); the order of storage does not matter."""
        return digests.combine(self.keys)

    @cached_property
    def native_size(self) -> int:
        """The typical longer side in pixels: the median over up to nine images spread over the set."""
        rows = np.unique(np.linspace(0, len(self) - 1, 9).astype(np.int64))
        return int(np.median([max(self.read(rows[i : i + 1])[0].shape[:2]) for i in range(len(rows))]))

    @cached_property
    def variant(self) -> str | None:
        """Why this is not the official data: 'jpeg90', 'unverified'; None if it is or if nothing is official."""
        if self.official is None or self.verified:
            return None
        return self.store.encoding() or (None if self.digest in self.official else "unverified")


def blocks(read: Read, rows: np.ndarray, most: int) -> Iterator[list[np.ndarray]]:
    """Decode the images of these rows in blocks of `most` images or `BLOCK_BYTES`, and one image more at most."""
    block: list[np.ndarray] = []
    held = 0
    for i in range(len(rows)):
        block += read(rows[i : i + 1])
        held += block[-1].nbytes
        if len(block) == most or held >= BLOCK_BYTES:
            yield block
            block, held = [], 0
    if block:
        yield block
