"""The images that a network is trained on: batches in a new order per epoch, augmented, the same after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bench.datasets.images import blocks
from bench.inputs.images import square
from bench.system.compat import ensure_torchvision

if TYPE_CHECKING:
    from bench.datasets.images import ImageDataset
    from bench.finetune.config import FineTuning
    from bench.inputs.images import Transform

SMALL = 64  # pixels: images up to this side are shifted, larger ones are cropped to a random part
LARGEST = 256  # pixels: larger images are shrunk to it before they are kept
READ_AT_ONCE = 256
SCALE = (0.35, 1.0)  # share of a large image that a crop shows


def squares(dataset: ImageDataset, rows: np.ndarray, size: int) -> Tensor:
    """Read images as uint8 squares [N, 3, S, S] of one side: their own where all have it and it is small.

    size: the network's; images of other sides are resized to 8/7 of it, `LARGEST` at most.
    """
    found = [square(image) for block in blocks(dataset.read, rows[:1], 1) for image in block]
    side = len(found[0]) if len(found[0]) <= SMALL else min(LARGEST, round(size * 8 / 7))
    held = torch.empty(len(rows), 3, side, side, dtype=torch.uint8)
    start = 0
    for block in blocks(dataset.read, rows, READ_AT_ONCE):
        for image in block:
            pixels = torch.from_numpy(np.array(square(image))).permute(2, 0, 1)
            held[start] = pixels if len(image) == side == image.shape[1] else _resized(pixels, side)
            start += 1
    return held


def _resized(pixels: Tensor, side: int) -> Tensor:
    from torch.nn.functional import interpolate

    made = interpolate(pixels[None].float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return made[0].round().clamp(0, 255).to(torch.uint8)


class Batches(Dataset[Any]):
    """The training images of a run; item (epoch, step) is an augmented batch, which the seed and these two decide."""

    def __init__(
        self, pixels: Tensor, labels: Tensor, config: FineTuning, part: Callable[[int], slice] = slice
    ) -> None:
        """Take images and labels; `part` gives the part of a batch of so many images that is made: by default, all."""
        self.pixels, self.labels, self.config, self.part = pixels, labels, config, part
        self.images = min(config.batch_size, len(labels))  # of a batch
        self.steps = max(1, len(labels) // config.batch_size)  # an epoch leaves out what does not fill a batch
        self._augment: Any = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, step = at
        if self._augment is None:
            self._augment = augmentation(self.pixels.shape[-1], self.config)
        order = np.random.default_rng((self.config.seed, epoch)).permutation(len(self.labels))
        part = self.part(self.images)
        rows = torch.from_numpy(order[step * self.config.batch_size :][: self.images][part])
        seeds = np.random.default_rng((self.config.seed, epoch, step)).integers(1 << 62, size=self.images)[part]
        return torch.stack(list(map(self._augmented, rows, seeds.tolist()))), self.labels[rows]

    def _augmented(self, row: Tensor, seed: int) -> Tensor:
        torch.manual_seed(seed)  # an image's own: it changes in the same way on any number of devices
        return self._augment(self.pixels[row])

    def epoch(self, epoch: int, first: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch from step `first` on, made ahead by so many other processes, or by this one."""
        todo = [(epoch, step) for step in range(first, self.steps)]
        options: dict[str, Any] = {"prefetch_factor": 4, "worker_init_fn": _alone} if workers else {}
        return iter(DataLoader(self, batch_size=None, sampler=todo, num_workers=workers, **options))


def _alone(worker: int) -> None:
    """Compute with one thread in a process that prepares images."""
    torch.set_num_threads(1)


def augmentation(side: int, config: FineTuning) -> Any:
    """Return what changes one uint8 image [3, S, S]: crop, flip, RandAugment (torchvision)."""
    ensure_torchvision()
    from torchvision.transforms import v2

    crop = (
        v2.RandomCrop(side, padding=max(1, side // 8), padding_mode="reflect")
        if side <= SMALL
        else v2.RandomResizedCrop(side, scale=SCALE, antialias=True)
    )
    steps: list[Any] = [crop]
    if config.flip:
        steps.append(v2.RandomHorizontalFlip())
    if config.augment:
        steps.append(v2.RandAugment(2, config.augment))
    return v2.Compose(steps)


def inputs(transform: Transform, pixels: Tensor) -> Tensor:
    """Return the network's input [B, 3, size, size] for uint8 squares [B, 3, S, S]."""
    return transform(pixels.permute(0, 2, 3, 1))
