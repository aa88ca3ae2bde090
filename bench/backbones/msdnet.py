"""MSDNet for small images (Huang et al., ICLR 2018): dense blocks at three scales, trained with a head after each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Unpack, cast

from pydantic import Field
from torch import Tensor, nn

from bench.backbones.msdnet_layers import WIDTH, MSDNet, Shape, Stepmode
from bench.backbones.placement import place
from bench.backbones.staged import Options, Origin, Preprocessing, StagedBackbone, image_sizes
from bench.backbones.weights import RANDOM, fit_head, load_strictly, locate, origin_of, read_checkpoint, seeded
from bench.errors import UserError
from bench.plugins.params import label

CIFAR100 = Preprocessing((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761), "bilinear")
CIFAR10 = Preprocessing((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616), "bilinear")

Count = Annotated[int, Field(ge=1)]


class StagedMSDNet(StagedBackbone):
    """The state is the images, then maps of all scales (`Maps`): the stem belongs to the first block.

    The features of an exit are the inputs of its classifier's last layer.
    """

    trunk: MSDNet

    def start(self, images: Tensor) -> Tensor:
        return images

    def feature(self, k: int, state: Any) -> Tensor:
        return self.trunk.classifier[(*self.positions, -1)[k]](state.scales[-1])


@image_sizes(small=32, large=32)
def msdnet(
    *,
    blocks: Annotated[int, Field(ge=2)] = Shape.blocks,
    base: Count = Shape.base,
    step: Count = Shape.step,
    stepmode: Stepmode = Shape.stepmode,
    growth: Count = Shape.growth,
    channels: Count = Shape.channels,
    bottleneck: bool = Shape.bottleneck,
    **options: Unpack[Options],
) -> StagedBackbone:
    """MSDNet for CIFAR: three scales, a head of its own after every block; weights from a file.

    The first block has `base` layers, block i + 1 has `step` (even) or `step` · i + 1 (lin_grow). A layer adds
    `growth` channels to the finest map, which starts with `channels`. The rest is as in the public CIFAR code: growth
    and bottleneck factors 1-2-4; after each third of the layers the finest scale is dropped and channels are halved.
    That code's anytime network is `msdnet[blocks=7]`; its network for budgeted batch classification is
    `msdnet[stepmode=lin_grow,base=1,step=1]`.
    """
    shape = Shape(blocks, base, step, stepmode, growth, channels, bottleneck)
    name = label("msdnet", shape)
    positions = place(options.get("exits"), owner=name, blocks=blocks, default="blocks")
    weights, num_classes = options.get("weights"), options.get("num_classes")
    preprocessing, origin = CIFAR100, Origin()
    if weights is None:
        raise UserError(
            "msdnet has no pretrained weights to download. Give a checkpoint with --weights PATH "
            "(such as model_best.pth.tar of the public CIFAR code), or give --weights random."
        )
    if weights == RANDOM:
        trunk = seeded(lambda: MSDNet(shape, num_classes or 100))
    else:
        path = locate(weights, [], options.get("data_dir"))
        assert path is not None
        trunk, classes = _read(path, shape)
        origin = origin_of(path, classes=classes, options=options, family=Origin())
        preprocessing = CIFAR10 if origin.head_for == "cifar10" else CIFAR100
    *native, own = (_take_linear(trunk, i, keep=i in (*positions, blocks - 1)) for i in range(blocks))
    head, origin = fit_head(own, WIDTH, num_classes, origin, name)
    return StagedMSDNet(
        name=name,
        trunk=trunk,
        blocks=list(trunk.blocks),
        head=head,
        positions=positions,
        image_size=options.get("image_size") or 32,
        preprocessing=preprocessing,
        origin=origin,
        native=[native[p] for p in positions] if head is own else (),
    )


def _read(path: Path, shape: Shape) -> tuple[MSDNet, int]:
    """Load a checkpoint of this shape; return the network and its number of classes."""
    state = read_checkpoint(path)
    last = state.get(f"classifier.{shape.blocks - 1}.linear.weight")
    classes = 100 if last is None else len(last)
    trunk = MSDNet(shape, classes)
    try:
        load_strictly(trunk, state, str(path))
    except UserError as error:
        raise UserError(
            f"{error} Give the configuration that was trained in brackets, as in "
            "msdnet[blocks=7,base=4,step=2,stepmode=even,growth=6,channels=16,bottleneck=true]."
        ) from error
    return trunk, classes


def _take_linear(trunk: MSDNet, block: int, *, keep: bool) -> nn.Linear:
    """Return the last layer of a block's classifier and remove it; the whole classifier unless `keep`."""
    classifier = cast(nn.Sequential, trunk.classifier[block])
    linear = cast(nn.Linear, classifier.linear)
    classifier.linear = nn.Identity()
    if not keep:
        trunk.classifier[block] = nn.Identity()
    return linear
