"""The network under examination, and what the checks on it share."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from bench import backbones
from bench.backbones.builder import find
from bench.backbones.staged import StagedBackbone

IMAGES = 6


class Network:
    """A backbone by its name: built once, run on a few random images [IMAGES, 3, H, W]."""

    def __init__(self, name: str, num_classes: int | None = None, image_size: int | None = None) -> None:
        self.name, self.num_classes = name, num_classes
        self.foreign = find(name).foreign
        self._spec, self.image_size = backbones.for_images(name, 32, image_size)

    def build(self) -> StagedBackbone:
        """Build the network again and return it."""
        return backbones.load(self._spec, num_classes=self.num_classes, image_size=self.image_size)

    @cached_property
    def backbone(self) -> StagedBackbone:
        """The network that all checks share."""
        return self.build()

    @cached_property
    def outputs(self) -> list[Tensor]:
        """The outputs of all exits for the images."""
        return self.run(self.images())

    def images(self, count: int = IMAGES, seed: int = 0) -> Tensor:
        """Draw normalised images [count, 3, H, W] or tokens of texts [count, T, 2], the same every time."""
        return self.backbone.noise(count, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def run(self, images: Tensor) -> list[Tensor]:
        """Return the K-1 intermediate features [N, D_k], the last features and the logits [N, C]."""
        features = self.backbone.features(images)
        return [*features, self.backbone.head(features[-1])]

    def titles(self) -> list[str]:
        """Return a description of each of the outputs."""
        exits = [f"the features of exit {k}" for k in range(self.backbone.num_exits - 1)]
        return [*exits, "the last features", "the logits"]
