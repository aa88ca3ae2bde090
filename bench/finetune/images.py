"""The images that a network is trained on: squares of one side, augmented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from bench.datasets.images import blocks
from bench.inputs.images import Transform, square
from bench.system.compat import ensure_torchvision

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.datasets.dataset import Dataset
    from bench.finetune.config import FineTuning

SMALL = 64  # pixels: images up to this side are shifted, larger ones are cropped to a random part
LARGEST = 256  # pixels: larger images are shrunk to it before they are kept
READ_AT_ONCE = 256
SCALE = (0.35, 1.0)  # share of a large image that a crop shows


def squares(dataset: Dataset, rows: np.ndarray, size: int) -> Tensor:
    """Read images as uint8 squares [N, 3, S, S] of one side: that of the first image if it is at most `SMALL`.

    size: the network's; for larger images the side is 8/7 of it, at most `LARGEST`. Images of another side are resized.
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


class Images:
    """N images, uint8 squares of one side."""

    by_size: ClassVar[bool] = False

    def __init__(self, pixels: Tensor, labels: Tensor, config: FineTuning, transform: Transform) -> None:
        """Take squares [N, 3, S, S], labels [N], the recipe with its augmentation and the backbone's transform."""
        self.pixels, self.labels, self.config, self.transform = pixels, labels, config, transform
        self._augment: Any = None

    @classmethod
    def read(cls, dataset: Dataset, rows: np.ndarray, backbone: StagedBackbone, config: FineTuning) -> Self:
        """Read the images of these rows."""
        labels = torch.from_numpy(np.asarray(dataset.labels, dtype=np.int64)[rows])
        return cls(squares(dataset, rows, backbone.image_size), labels, config, Transform.of(backbone))

    def batch(self, rows: Tensor | slice) -> Tensor:
        """Return uint8 [B, 3, S, S]."""
        return self.pixels[rows]

    def changed(self, rows: Tensor, seeds: list[int]) -> Tensor:
        """Return augmented images, uint8 [B, 3, S, S]."""
        if self._augment is None:
            self._augment = augmentation(self.pixels.shape[-1], self.config)
        return torch.stack(list(map(self._changed, rows, seeds)))

    def _changed(self, row: Tensor, seed: int) -> Tensor:
        # One seed per image: augmentation is the same on any number of devices. torch.manual_seed would be slow,
        # because it also records a traceback for GPUs that are not initialised yet.
        torch.default_generator.manual_seed(seed)
        return self._augment(self.pixels[row])

    def ready(self, batch: Tensor) -> Tensor:
        """Return float32 [B, 3, size, size], resized and normalised."""
        return self.transform(batch.permute(0, 2, 3, 1)).contiguous(memory_format=torch.channels_last)


def augmentation(side: int, config: FineTuning) -> Any:
    """Return the augmentation of one uint8 image [3, S, S]: crop, flip, RandAugment (torchvision)."""
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
