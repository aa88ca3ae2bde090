"""Training batches: in a new order per epoch, reproducible after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from bench.finetune.config import FineTuning


GROUP = 16  # batches whose samples are sorted together if rows are ordered by size


class Samples(Protocol):
    """Labelled inputs of N samples, held in memory."""

    labels: Tensor  # int64 [N]
    by_size: ClassVar[bool]  # rows are ordered by size; a batch of similar sizes takes less time

    def batch(self, rows: Tensor | slice) -> Tensor:
        """Return the unmodified inputs of B samples."""

    def changed(self, rows: Tensor, seeds: list[int]) -> Tensor:
        """Return the augmented inputs of B samples, each with its own seed."""

    def ready(self, batch: Tensor) -> Tensor:
        """Return the input of a backbone, on the device of the batch."""


class Batches(Dataset[Any]):
    """Training batches of a run; item (epoch, step) is inputs and labels, determined by these two and the seed."""

    def __init__(self, samples: Samples, config: FineTuning, part: Callable[[int], slice] = slice) -> None:
        """Take samples; `part` returns the slice of a batch of n samples to make: by default, all."""
        self.samples, self.config, self.part = samples, config, part
        self.size = min(config.batch_size, len(samples.labels))  # samples of a batch
        self.steps = max(1, len(samples.labels) // config.batch_size)  # an incomplete last batch is dropped
        self._drawn = (-1, np.empty((0, self.size), dtype=np.int64))  # an epoch, and its order

    def __len__(self) -> int:
        return len(self.samples.labels)

    def __getitem__(self, at: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, step = at
        part = self.part(self.size)
        rows = torch.from_numpy(self._order(epoch)[step][part])
        seeds = np.random.default_rng((self.config.seed, epoch, step)).integers(1 << 62, size=self.size)[part]
        return self.samples.changed(rows, seeds.tolist()), self.samples.labels[rows]

    def _order(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch's batches [steps, size]."""
        if self._drawn[0] != epoch:
            rng = np.random.default_rng((self.config.seed, epoch))
            order = rng.permutation(len(self))[: self.steps * self.size]
            if self.samples.by_size:
                groups = (order[at : at + GROUP * self.size] for at in range(0, len(order), GROUP * self.size))
                order = rng.permutation(np.concatenate([np.sort(group) for group in groups]).reshape(-1, self.size))
            self._drawn = epoch, order.reshape(-1, self.size)
        return self._drawn[1]

    def epoch(self, epoch: int, first: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch from step `first` on, prepared by worker processes, or by this one for 0."""
        todo = [(epoch, step) for step in range(first, self.steps)]
        options: dict[str, Any] = {"prefetch_factor": 4, "worker_init_fn": _alone} if workers else {}
        return iter(DataLoader(self, batch_size=None, sampler=todo, num_workers=workers, **options))


def _alone(worker: int) -> None:
    """Use one thread in a worker process."""
    torch.set_num_threads(1)
