"""timm's plain vision transformers (ViT, DeiT, DINOv2, CLIP), with an exit after every block."""

from __future__ import annotations

import re
from typing import Any, Unpack

from torch import Tensor

from bench.backbones.placement import place
from bench.backbones.pooling import PooledOptions, Pooling, pooled, pooled_head, pooled_name
from bench.backbones.staged import StagedBackbone, image_sizes
from bench.backbones.timm_trunk import Trunk, build_trunk
from bench.errors import UserError


class StagedViT(StagedBackbone):
    """Exits see what the backbone's own head would: the pooled tokens after the shared final norm.

    With class-token pooling the norm runs on that token alone; the result is the same, as it works token by token.
    In models that pool by attention, intermediate exits see the mean of the normalised patch tokens.
    `pooling` changes what exits see: the class token (`cls`), the mean of the patch tokens (`mean`), or both side by
    side. The last exit follows it unless the backbone's own head is there.
    """

    trunk: Any

    def start(self, images: Tensor) -> Tensor:
        t = self.trunk
        return t.norm_pre(t.patch_drop(t._pos_embed(t.patch_embed(images))))

    def pool(self, state: Tensor) -> Tensor:
        t = self.trunk
        if self.pooling is not None:
            return pooled(
                self.pooling,
                lambda: t.fc_norm(t.norm(state[:, 0])),
                lambda: t.fc_norm(t.norm(state[:, t.num_prefix_tokens :]).mean(1)),
            )
        if t.attn_pool is None:
            return self.final(state)
        return t.norm(state[:, t.num_prefix_tokens :]).mean(1)

    def final(self, state: Tensor) -> Tensor:
        t = self.trunk
        if self.pooling is not None and not self.own_last:
            return self.pool(state)
        if t.attn_pool is None and t.global_pool == "token":
            return t.fc_norm(t.norm(state[:, 0]))
        return t.forward_head(t.norm(state), pre_logits=True)


def stage_vit(name: str, trunk: Trunk, exits: str | None, pooling: Pooling | None = None) -> StagedBackbone:
    """Cut a timm ViT at its blocks; raise UserError for another architecture, or a missing class token."""
    from timm.models.vision_transformer import VisionTransformer

    model = trunk.model
    if type(model) is not VisionTransformer:
        raise UserError(f"{name} is a {type(model).__name__}. Supported transformers: ViT, DeiT, DINOv2, CLIP.")
    if pooling in ("cls", "both") and not model.has_class_token:
        raise UserError(f"{name} has no class token. Give pooling=mean, or leave it out.")
    return StagedViT(
        name=pooled_name(name, pooling),
        trunk=model,
        blocks=list(model.blocks),
        head=pooled_head(trunk.head, trunk.origin, pooling, model.embed_dim),
        positions=place(exits, owner=name, blocks=len(model.blocks), default="blocks"),
        image_size=trunk.image_size,
        preprocessing=trunk.preprocessing,
        origin=trunk.origin,
        pooling=pooling,
    )


def build_vit(name: str, arch: str, options: PooledOptions, headless: bool = False) -> StagedBackbone:
    """Build a timm ViT for an image size and cut it. Default exits: after every block but the last.

    headless: drop the classifier of the weights, if any.
    """
    size = options.get("image_size") or 224
    patch = int(found[1]) if (found := re.search(r"patch(\d+)", arch)) else 1
    if size % patch:
        near = f"Try --image-size {max(patch, size // patch * patch)}."
        reason = f"{size} is not a multiple of {patch}"
        raise UserError(f"{name} splits images into patches of {patch} pixels; {reason}. {near}")
    trunk = build_trunk(name, arch, options, image_size=size, resizable=True, headless=headless)
    return stage_vit(name, trunk, options.get("exits"), options.get("pooling"))


@image_sizes(small=224, large=224)
def deit_tiny(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """DeiT-tiny of timm (patch 16), ImageNet-1k."""
    return build_vit("deit_tiny", "deit_tiny_patch16_224.fb_in1k", options)


@image_sizes(small=224, large=224)
def deit_small(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """DeiT-small of timm (patch 16), ImageNet-1k."""
    return build_vit("deit_small", "deit_small_patch16_224.fb_in1k", options)


@image_sizes(small=224, large=224)
def vit_base(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """ViT-B/16 of timm, ImageNet-21k then ImageNet-1k."""
    return build_vit("vit_base", "vit_base_patch16_224.augreg2_in21k_ft_in1k", options)


@image_sizes(small=224, large=224)
def dinov2_small(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """DINOv2 ViT-S/14 of timm, self-supervised on LVD-142M; without a head of its own."""
    return build_vit("dinov2_small", "vit_small_patch14_dinov2.lvd142m", options, headless=True)


@image_sizes(small=112, large=224)
def clip_vit_b16(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """CLIP ViT-B/16 image tower (OpenAI) of timm; without a head of its own."""
    return build_vit("clip_vit_b16", "vit_base_patch16_clip_quickgelu_224.openai", options, headless=True)
