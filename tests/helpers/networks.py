"""A small network as its author has it, in a file outside of the package, and ways to break it."""

from __future__ import annotations

HEAD = '''"""Networks of mine."""
import torch
from torch import nn
from bench.backbones.stages import from_stages
from bench.backbones.staged import Origin, Preprocessing, StagedBackbone


def block(inputs, outputs, *more):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU(), *more)


def listed(stages, width=16, **options):
    given = dict(head=nn.Linear(width, 10), image_size=16, mean=(0.5,) * 3, std=(0.5,) * 3, seen=())
    return from_stages(stages, **{**given, **options})


'''
SMALL = '''def small(*, width: int = 16, exits: str | None = None):
    """Three stages."""
    stages = [block(3, 4), block(4, 8), block(8, width)]
    head = nn.Linear(width, 10)
    whole = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    return listed(stages, head=head, whole=whole, exits=exits)
'''
