"""The CIFAR ResNets of He et al. (CVPR 2016, section 4.2): 6n+2 layers, shortcuts without parameters."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn
from torch.nn import functional

from bench.backbones.placement import place
from bench.backbones.staged import Options, Origin, Preprocessing, StagedBackbone, image_sizes
from bench.backbones.weights import (
    RANDOM,
    SUFFIXES,
    fit_head,
    load_strictly,
    locate,
    origin_of,
    read_checkpoint,
    seeded,
)
from bench.errors import UserError

PREPROCESSING = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear")
SEEN = Origin(frozenset({"cifar10"}), "cifar10")


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut that subsamples and pads channels with zeros if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.padding = stride, (outputs - inputs) // 2  # zeros on either side of the channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return functional.relu(out + functional.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding)))


class CifarResNet(nn.Module):
    """The whole network, with the key names of the common CIFAR checkpoints."""

    def __init__(self, per_stage: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            first = BasicBlock(inputs, outputs, stride=1 if i == 1 else 2)
            self.add_module(
                f"layer{i}", nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(per_stage - 1)))
            )
        self.linear = nn.Linear(64, classes)

    @property
    def blocks(self) -> list[nn.Module]:
        """All residual blocks in order."""
        return [block for i in (1, 2, 3) for block in self.get_submodule(f"layer{i}").children()]


class StagedCifarResNet(StagedBackbone):
    """Exits see the global average of the map after a block."""

    trunk: CifarResNet

    def start(self, images: Tensor) -> Tensor:
        return functional.relu(self.trunk.bn1(self.trunk.conv1(images)))

    def pool(self, state: Tensor) -> Tensor:
        return state.mean((2, 3))

    def final(self, state: Tensor) -> Tensor:
        return self.pool(state)


def _build(depth: int, options: Options) -> StagedBackbone:
    """Build one depth.

    By default an exit follows every b-th block, b = round(n / 3) for n blocks per stage (7 to 10 intermediate exits).
    """
    name, per_stage = f"cifar_resnet{depth}", (depth - 2) // 6
    positions = place(
        options.get("exits"),
        owner=name,
        blocks=3 * per_stage,
        default=f"every={round(per_stage / 3)}",
        stage_ends=[per_stage * i - 1 for i in (1, 2, 3)],
    )
    weights, num_classes = options.get("weights"), options.get("num_classes")
    origin = Origin()
    if weights == RANDOM:
        trunk = seeded(lambda: CifarResNet(per_stage, num_classes or 10))
    else:
        stem = f"resnet{depth}_cifar10"
        path = locate(weights, [stem + suffix for suffix in SUFFIXES], options.get("data_dir"))
        if path is None:
            raise UserError(
                f"The weights of {name} are not on this machine. Put {stem}.safetensors (a CIFAR ResNet-{depth} with "
                "keys conv1, bn1, layer1-3, linear) into $BENCH_DATA/weights or --data-dir, "
                "or name a file with --weights PATH. The default, efficientnet_lite0, needs no file."
            )
        state = read_checkpoint(path)
        classes = len(state["linear.weight"]) if "linear.weight" in state else 10
        trunk = CifarResNet(per_stage, classes)
        load_strictly(trunk, state, str(path))
        origin = origin_of(path, classes=classes, options=options, family=SEEN)
    head, origin = fit_head(trunk.linear, 64, num_classes, origin, name)
    trunk.linear = nn.Identity()  # type: ignore[assignment]
    return StagedCifarResNet(
        name=name,
        trunk=trunk,
        blocks=trunk.blocks,
        head=head,
        positions=positions,
        image_size=options.get("image_size") or 32,
        preprocessing=PREPROCESSING,
        origin=origin,
    )


@image_sizes(small=32, large=32)
def cifar_resnet20(**options: Unpack[Options]) -> StagedBackbone:
    """CIFAR ResNet-20 trained on CIFAR-10, weights from a file; exits after every block."""
    return _build(20, options)


@image_sizes(small=32, large=32)
def cifar_resnet32(**options: Unpack[Options]) -> StagedBackbone:
    """CIFAR ResNet-32 trained on CIFAR-10, weights from a file; exits after every 2nd block."""
    return _build(32, options)


@image_sizes(small=32, large=32)
def cifar_resnet44(**options: Unpack[Options]) -> StagedBackbone:
    """CIFAR ResNet-44 trained on CIFAR-10, weights from a file; exits after every 2nd block."""
    return _build(44, options)


@image_sizes(small=32, large=32)
def cifar_resnet56(**options: Unpack[Options]) -> StagedBackbone:
    """CIFAR ResNet-56 trained on CIFAR-10, weights from a file; exits after every 3rd block."""
    return _build(56, options)


@image_sizes(small=32, large=32)
def cifar_resnet110(**options: Unpack[Options]) -> StagedBackbone:
    """CIFAR ResNet-110 trained on CIFAR-10, weights from a file; exits after every 6th block."""
    return _build(110, options)
