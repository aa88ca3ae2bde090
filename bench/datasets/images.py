"""ImageDataset: labelled images, decoded on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from bench.datasets import digests
from bench.datasets.dataset import Dataset

BLOCK_BYTES = 1 << 26
Read = Callable[[np.ndarray], Sequence[np.ndarray]]


class ImageDataset(Dataset):
    """N labelled images: `read` decodes them to uint8 RGB [H, W, 3] each."""

    modality = "image"
    scheme = digests.PIXELS

    @cached_property
    def native_size(self) -> int:  # type: ignore[override]
        """The typical longer side in pixels: the median over up to nine images spread over the set."""
        rows = np.unique(np.linspace(0, len(self) - 1, 9).astype(np.int64))
        return int(np.median([max(self.read(rows[i : i + 1])[0].shape[:2]) for i in range(len(rows))]))


def blocks(read: Read, rows: np.ndarray, most: int) -> Iterator[list[np.ndarray]]:
    """Yield the decoded images of these rows in blocks of at most `most` images, or `BLOCK_BYTES` plus one image."""
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
