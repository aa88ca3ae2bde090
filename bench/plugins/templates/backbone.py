"""The files of a new backbone."""

from __future__ import annotations

from string import Template

SOURCE = Template('''\
"""A small convolutional network with an exit after each of its stages. Replace it with your own."""

from __future__ import annotations

from pathlib import Path

import torch
from bench.backbones.staged import StagedBackbone
from bench.backbones.stages import from_stages
from bench.errors import UserError
from torch import Tensor, nn


def block(inputs: int, outputs: int) -> nn.Module:
    """Return one stage: half the side, `outputs` channels."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class Net(nn.Module):
    """The network as it is used without exits: images to logits."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList([block(3, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        for stage in self.stages:
            images = stage(images)
        return self.classifier(images.mean((2, 3)))


def $name(
    *,
    width: int = 16,  # parameters, as in `$name[width=32]`: keywords with a type and a default
    weights: str | None = None,  # the option --weights and, below, --image-size; both parameters may be left out
    image_size: int = 32,
) -> StagedBackbone:
    """A small convolutional network of three stages, untrained.

    The first line above is the summary in `bench list`: name the architecture, the paper, and what trained the weights.
    The annotation `-> StagedBackbone` makes this function a backbone.
    """
    network = Net(width, classes=10)  # without weights: the random initialisation is the same every time
    if weights is not None:
        if not Path(weights).is_file():
            raise UserError(f"There are no weights '{weights}'. Give --weights a file that torch.save wrote.")
        network.load_state_dict(torch.load(weights, weights_only=True))
    return from_stages(
        network.stages,  # run in order, an exit after each; put layers between two stages into the first of them
        head=network.classifier,  # the last exit if `head_for` is the dataset of the run, otherwise a linear probe is
        whole=network,  # `bench check` compares it with all stages run in order
        image_size=image_size,
        mean=(0.5, 0.5, 0.5),  # how images were prepared when the network was trained
        std=(0.5, 0.5, 0.5),
        seen=(),  # every dataset whose training images the weights have seen, pretraining included
        head_for=None,  # the dataset whose classes `head` predicts, in the same order
    )
''')

TEST = Template('''\
"""Tests of $name: the checks that every backbone must pass, and its own shapes."""

from __future__ import annotations

${imports}from bench.check import suite

from $module import $name

test_contract = suite($subject, kind="backbone")


def test_each_stage_doubles_the_channels():
    assert $name(width=4).feature_dims == (4, 8) and $name(width=4).final_dim == 16
''')
