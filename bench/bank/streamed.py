"""A split that stays on disk: features are read on request, in the bank's own type."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.bank.partial import reserve
from bench.errors import UserError
from bench.exits import PART
from bench.method import ExitData

RESIDENT = 2 << 30  # bytes of a split in float32 above which it stays on disk
GATHERED = 1 << 16  # rows at once


def gathered(array: np.ndarray, rows: np.ndarray, folder: Path) -> np.memmap:
    """Return rows [N] of mapped features [M, D] in a new mapped file, which is deleted when no longer referenced.

    folder: on the disk to use. Raises UserError if it is full.
    """
    try:
        return _copied(array, rows, folder)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"A seed's train split cannot be copied to {folder} ({reason}). Free some space.") from error


def _copied(array: np.ndarray, rows: np.ndarray, folder: Path) -> np.memmap:
    with tempfile.TemporaryFile(dir=folder) as file:
        reserve(file.fileno(), len(rows) * array.shape[1] * array.dtype.itemsize)
        held = np.memmap(file, array.dtype, "w+", shape=(len(rows), array.shape[1]))
    for start in range(0, len(rows), GATHERED):
        held[start : start + GATHERED] = array[rows[start : start + GATHERED]]
    return held


class StreamedData(ExitData):
    """An ExitData whose features are mapped from disk, and whose final logits are computed from them on request."""

    on_disk = True
    final: Tensor
    head: tuple[Tensor, Tensor]
    _arrays: Sequence[np.memmap]

    def __init__(self, arrays: Sequence[np.memmap], head: tuple[Tensor, Tensor], labels: Tensor) -> None:
        """Take the features of every exit [N, D_k], copied on write, the final ones last, and the final head."""
        *features, final = (torch.from_numpy(array) for array in arrays)
        held = {"features": tuple(features), "final": final, "head": head, "labels": labels, "_arrays": arrays}
        for name, value in held.items():  # bypasses the frozen dataclass, which has other fields
            object.__setattr__(self, name, value)

    @property
    def final_logits(self) -> Tensor:  # type: ignore[override]
        """The frozen head's logits [N, C], float32, computed on every access: prefer `batch` if it is enough."""
        rows = max(1, PART // len(self.head[1]))
        return torch.cat([self.batch(len(self.features), part) for part in torch.arange(len(self)).split(rows)])

    def batch(self, k: int, rows: slice | Tensor) -> Tensor:
        last = k == len(self.features)
        found = (self.final if last else self.features[k])[rows].float()
        if hasattr(mmap, "MADV_DONTNEED"):  # release the pages: the system maps megabytes around each row
            self._arrays[k]._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
        return torch.nn.functional.linear(found, *self.head) if last else found

    def tensors(self) -> dict[str, Tensor]:
        return {**super().tensors(), "the final logits": self.final}
