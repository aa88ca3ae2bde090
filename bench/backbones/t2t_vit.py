"""T2T-ViT-7 and T2T-ViT-14 with an exit after every block, from the official checkpoints or fine-tuned ones."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from torch import Tensor, nn

from bench.backbones.placement import place
from bench.backbones.pooling import PooledOptions, pooled, pooled_head, pooled_name
from bench.backbones.staged import Origin, Preprocessing, StagedBackbone, image_sizes
from bench.backbones.t2t_layers import T2TViT, resize_positions
from bench.backbones.weights import RANDOM, fit_head, load_strictly, locate, origin_of, read_checkpoint, seeded
from bench.errors import UserError

# Entries of fine-tuned checkpoints of early-exit code that are not part of the backbone.
EXIT_KEYS = ("intermediate_heads.", "gates.")

IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic")
FINE_TUNED = {  # normalisation used by JEI-DNN's fine-tuning code, by dataset
    "cifar10": Preprocessing((0.4914, 0.4822, 0.4465), (0.24703, 0.24348, 0.26158), "bilinear"),
    "cifar100": Preprocessing((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761), "bilinear"),
    "svhn": Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear"),
}


class StagedT2TViT(StagedBackbone):
    """Exits see the class token after the shared final norm; the tokens-to-token module belongs to the start.

    `pooling` changes what exits see: the class token (`cls`), the mean of the other tokens (`mean`), or both side by
    side. The last exit follows it unless the backbone's own head is there.
    """

    trunk: T2TViT

    def start(self, images: Tensor) -> Tensor:
        return self.trunk.embed(images)

    def pool(self, state: Tensor) -> Tensor:
        norm = self.trunk.norm
        return pooled(self.pooling or "cls", lambda: norm(state[:, 0]), lambda: norm(state[:, 1:]).mean(1))

    def final(self, state: Tensor) -> Tensor:
        return self.trunk.norm(state[:, 0]) if self.own_last else self.pool(state)


@image_sizes(small=224, large=224)
def t2t_vit_7(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """T2T-ViT-7, ImageNet-1k, weights from a file: official and fine-tuned checkpoints.

    Looks for the official release file `71.7_T2T_ViT_7.pth.tar`. For another file, `seen` or its name shows what the
    weights have seen (`cifar10_…`, see `weights.origin_of`); fine-tuned weights have seen ImageNet too, and use the
    normalisation that they were tuned with. Official weights use ImageNet's mean and standard deviation.
    """
    return _build("t2t_vit_7", (256, 7, 2), "71.7_T2T_ViT_7.pth.tar", options)


@image_sizes(small=224, large=224)
def t2t_vit_14(**options: Unpack[PooledOptions]) -> StagedBackbone:
    """T2T-ViT-14, ImageNet-1k, weights from a file: official and fine-tuned checkpoints.

    Looks for the official release file `81.5_T2T_ViT_14.pth.tar`; otherwise like `t2t_vit_7`.
    """
    return _build("t2t_vit_14", (384, 14, 3), "81.5_T2T_ViT_14.pth.tar", options)


def _build(name: str, shape: tuple[int, int, int], release: str, options: PooledOptions) -> StagedBackbone:
    """Build one depth; `shape` is (width, depth, MLP ratio), `release` the official file's name."""
    size = options.get("image_size") or 224
    if size % 16:
        near = max(16, size // 16 * 16)
        raise UserError(
            f"{name} splits images into patches of 16 pixels; {size} is not a multiple of 16. Try --image-size {near}."
        )
    weights, num_classes = options.get("weights"), options.get("num_classes")
    dim, depth, ratio = shape
    positions = place(options.get("exits"), owner=name, blocks=depth, default="blocks")
    trunk = seeded(lambda: T2TViT(size, dim, depth, ratio))
    preprocessing, origin, head = IMAGENET, Origin(), None
    if weights == RANDOM:
        num_classes = num_classes or 1000
    else:
        path = locate(weights, [release], options.get("data_dir"))
        if path is None:
            raise UserError(
                f"The weights of {name} are not on this machine. Get the T2T-ViT release file {release}, "
                "and put it into $BENCH_DATA/weights or give it with --weights PATH."
            )
        state = {k: v for k, v in read_checkpoint(path).items() if not k.startswith(EXIT_KEYS)}
        head = _take_head(state, path, dim)
        if "pos_embed" in state:
            state["pos_embed"] = resize_positions(state["pos_embed"], trunk.pos_embed.shape[1])
        load_strictly(trunk, state, str(path))
        origin = origin_of(path, classes=head.out_features, options=options, family=Origin())
        if origin.head_for in FINE_TUNED:
            preprocessing, origin = FINE_TUNED[origin.head_for], Origin(origin.seen | {"imagenet"}, origin.head_for)
    head, origin = fit_head(head, dim, num_classes, origin, name)
    pooling = options.get("pooling")
    return StagedT2TViT(
        name=pooled_name(name, pooling),
        trunk=trunk,
        blocks=list(trunk.blocks),
        head=pooled_head(head, origin, pooling, dim),
        positions=positions,
        image_size=size,
        preprocessing=preprocessing,
        origin=origin,
        pooling=pooling,
    )


def _take_head(state: dict[str, Tensor], path: Path, dim: int) -> nn.Linear:
    """Remove the classifier from a state dict and return it."""
    try:
        weight, bias = state.pop("head.weight"), state.pop("head.bias")
    except KeyError as error:
        raise UserError(f"'{path}' is not a T2T-ViT checkpoint: {error.args[0]} is missing.") from None
    if weight.shape[1] != dim:
        raise UserError(f"'{path}' has another depth: its head reads {weight.shape[1]} features, not {dim}.")
    head = nn.Linear(dim, len(weight))
    load_strictly(head, {"weight": weight, "bias": bias}, str(path))
    return head
