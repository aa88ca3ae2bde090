"""The layers of MSDNet (Huang et al., ICLR 2018), with the key names of the public CIFAR checkpoints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

FACTORS = (1, 2, 4)  # multiply channels and bottleneck width at each scale, fine to coarse
WIDTH = 128  # channels within a classifier

Stepmode = Literal["even", "lin_grow"]


@dataclass(frozen=True)
class Shape:
    """The hyperparameters of an MSDNet."""

    blocks: int = 5
    base: int = 4
    step: int = 2
    stepmode: Stepmode = "even"
    growth: int = 6
    channels: int = 16
    bottleneck: bool = True

    @property
    def layers(self) -> list[int]:
        """Number of layers in each block."""
        later = range(1, self.blocks)
        return [self.base, *(self.step if self.stepmode == "even" else self.step * i + 1 for i in later)]


@dataclass(frozen=True, eq=False)
class Maps:
    """Feature maps [N, C_s, H_s, W_s] of the same N images, fine to coarse."""

    scales: tuple[Tensor, ...]

    def __len__(self) -> int:
        """Return N."""
        return len(self.scales[0])

    def map(self, function: Callable[[Tensor], Tensor]) -> Maps:
        """Return the maps with a function applied to each."""
        return Maps(tuple(map(function, self.scales)))

    def __getitem__(self, rows: slice | Tensor) -> Maps:
        """Return the maps of some images: a slice, a boolean mask or indices, as for a tensor."""
        return Maps(tuple(scale[rows] for scale in self.scales))


class Grow(nn.Module):
    """Append new channels to a map; half of them are computed from the next finer map, if there is one."""

    def __init__(self, scale: int, channels: int, shape: Shape, finer: bool) -> None:
        super().__init__()
        new = shape.growth * FACTORS[scale] // (2 if finer else 1)
        if finer:
            self.conv_down = _grower(scale - 1, channels, new, shape.bottleneck, stride=2)
        self.conv_normal = _grower(scale, channels, new, shape.bottleneck, stride=1)

    def forward(self, x: Tensor, finer: Tensor | None) -> Tensor:
        down = [] if finer is None else [self.conv_down(finer)]
        return torch.cat([x, *down, self.conv_normal(x)], 1)


class Stem(nn.Module):
    """Maps of all scales from images, each from the one before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [3, *(channels * factor for factor in FACTORS)]
        self.layers = nn.ModuleList(
            _net(_unit(widths[s], widths[s + 1], stride=min(s + 1, 2))) for s in range(len(FACTORS))
        )

    def forward(self, images: Tensor) -> Maps:
        scales = [images]
        for layer in self.layers:
            scales.append(layer(scales[-1]))
        return Maps(tuple(scales[1:]))


class Layer(nn.Module):
    """Grow every scale; if `finest` exceeds `finest_before`, the finest map is used a last time and dropped."""

    def __init__(self, channels: int, shape: Shape, finest_before: int, finest: int) -> None:
        super().__init__()
        self.dropped = finest - finest_before
        self.layers = nn.ModuleList(
            Grow(scale, channels, shape, finer=scale > finest_before) for scale in range(finest, len(FACTORS))
        )

    def forward(self, maps: Maps) -> Maps:
        finer = (None, *maps.scales[:-1])
        inputs = list(zip(maps.scales, finer, strict=True))[self.dropped :]
        return Maps(tuple(layer(*pair) for layer, pair in zip(self.layers, inputs, strict=True)))


class Transition(nn.Module):
    """Reduce the channels by a 1 × 1 convolution at every scale."""

    def __init__(self, channels: int, kept: int, finest: int) -> None:
        super().__init__()
        self.m = nn.ModuleList(_net(_unit(channels * f, kept * f, kernel=1)) for f in FACTORS[finest:])

    def forward(self, maps: Maps) -> Maps:
        return Maps(tuple(layer(scale) for layer, scale in zip(self.m, maps.scales, strict=True)))


class MSDNet(nn.Module):
    """The whole network: `blocks`, with the stem as the first layer of the first, and a classifier after each.

    The layers are divided into as many equal parts as there are scales; each part drops the finest scale of the one
    before and halves the channels. A classifier sees the coarsest map.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.blocks, self.classifier = nn.ModuleList(), nn.ModuleList()
        part = -(-sum(shape.layers) // len(FACTORS))
        channels, depth = shape.channels, 0
        for count in shape.layers:
            layers: list[nn.Module] = [] if depth else [Stem(channels)]
            for _ in range(count):
                finest_before, finest = max(depth - 1, 0) // part, depth // part
                layers.append(Layer(channels, shape, finest_before, finest))
                channels += shape.growth
                if finest > finest_before:
                    layers.append(Transition(channels, channels // 2, finest))
                    channels //= 2
                depth += 1
            self.blocks.append(nn.Sequential(*layers))
            self.classifier.append(_classifier(channels * FACTORS[-1], classes))


def _classifier(channels: int, classes: int) -> nn.Sequential:
    """Return a classifier of the coarsest map."""
    convolutions = (_net(_unit(inputs, WIDTH, stride=2)) for inputs in (channels, WIDTH))
    pooled = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(OrderedDict(m=pooled, linear=nn.Linear(WIDTH, classes)))


def _grower(scale: int, channels: int, new: int, bottleneck: bool, stride: int) -> nn.Sequential:
    """Return layers that compute new channels from a map of `channels` times the factor of its scale."""
    inputs = channels * FACTORS[scale]
    if not bottleneck:
        return _net(_unit(inputs, new, stride=stride))
    width = min(inputs, FACTORS[scale] * new)
    return _net(_unit(inputs, width, kernel=1), _unit(width, new, stride=stride))


def _net(*units: Iterator[nn.Module]) -> nn.Sequential:
    """Return units in sequence, under the name `net`."""
    return nn.Sequential(OrderedDict(net=nn.Sequential(*(layer for unit in units for layer in unit))))


def _unit(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> Iterator[nn.Module]:
    """Yield a convolution, batch norm and ReLU."""
    yield nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU(inplace=True)
