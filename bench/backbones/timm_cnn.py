"""timm's EfficientNet, MobileNetV3 and ResNet families, with exits after stages or blocks."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor

from bench.backbones.placement import place
from bench.backbones.staged import Options, StagedBackbone, image_sizes
from bench.backbones.timm_trunk import Trunk, build_trunk
from bench.errors import UserError

SMALL, LARGE = 96, 224


class StagedCNN(StagedBackbone):
    """Exits see the global average of the map after a block."""

    trunk: Any

    def pool(self, state: Tensor) -> Tensor:
        return state.mean((2, 3))

    def final(self, state: Tensor) -> Tensor:
        return self.trunk.forward_head(state, pre_logits=True)


class StagedMobileNetV3(StagedCNN):
    """MobileNetV3 and its variants: the convolution after the blocks follows the pooling."""

    def start(self, images: Tensor) -> Tensor:
        return self.trunk.bn1(self.trunk.conv_stem(images))


class StagedEfficientNet(StagedMobileNetV3):
    """EfficientNet and its variants: the convolution after the blocks precedes the pooling."""

    def final(self, state: Tensor) -> Tensor:
        return super().final(self.trunk.bn2(self.trunk.conv_head(state)))


class StagedResNet(StagedCNN):
    """ResNet and its variants."""

    def start(self, images: Tensor) -> Tensor:
        return self.trunk.maxpool(self.trunk.act1(self.trunk.bn1(self.trunk.conv1(images))))


def stage_cnn(name: str, trunk: Trunk, exits: str | None) -> StagedBackbone:
    """Cut a timm CNN at its blocks; raise UserError for an architecture of another family."""
    from timm.models.efficientnet import EfficientNet
    from timm.models.mobilenetv3 import MobileNetV3
    from timm.models.resnet import ResNet

    model = trunk.model
    kinds = {EfficientNet: StagedEfficientNet, MobileNetV3: StagedMobileNetV3, ResNet: StagedResNet}
    if type(model) not in kinds:
        raise UserError(f"{name} is a {type(model).__name__}. Supported CNNs: EfficientNet, MobileNetV3, ResNet.")
    stages = [getattr(model, f"layer{i}") for i in (1, 2, 3, 4)] if isinstance(model, ResNet) else list(model.blocks)
    blocks: list[Any] = []
    ends: list[int] = []
    for stage in stages:
        blocks.extend(stage)
        ends.append(len(blocks) - 1)
    return kinds[type(model)](
        name=name,
        trunk=model,
        blocks=blocks,
        head=trunk.head,
        positions=place(exits, owner=name, blocks=len(blocks), default="stages", stage_ends=ends),
        image_size=trunk.image_size,
        preprocessing=trunk.preprocessing,
        origin=trunk.origin,
    )


def build_cnn(name: str, arch: str, options: Options) -> StagedBackbone:
    """Build a timm CNN and cut it. Default exits: after every stage but the last."""
    trunk = build_trunk(name, arch, options, image_size=options.get("image_size") or LARGE)
    return stage_cnn(name, trunk, options.get("exits"))


@image_sizes(small=SMALL, large=LARGE)
def efficientnet_b0(**options: Unpack[Options]) -> StagedBackbone:
    """EfficientNet-B0 of timm, ImageNet-1k."""
    return build_cnn("efficientnet_b0", "efficientnet_b0.ra_in1k", options)


@image_sizes(small=SMALL, large=LARGE)
def mobilenetv3_large(**options: Unpack[Options]) -> StagedBackbone:
    """MobileNetV3-Large of timm, ImageNet-1k."""
    return build_cnn("mobilenetv3_large", "mobilenetv3_large_100.ra_in1k", options)


@image_sizes(small=SMALL, large=LARGE)
def resnet18(**options: Unpack[Options]) -> StagedBackbone:
    """ResNet-18 of timm, ImageNet-1k."""
    return build_cnn("resnet18", "resnet18.a1_in1k", options)


@image_sizes(small=SMALL, large=LARGE)
def resnet50(**options: Unpack[Options]) -> StagedBackbone:
    """ResNet-50 of timm, ImageNet-1k."""
    return build_cnn("resnet50", "resnet50.a1_in1k", options)
