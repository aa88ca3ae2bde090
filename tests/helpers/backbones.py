"""One small backbone of each family, with random weights, and how timm runs the same network in one go."""

from __future__ import annotations

import torch

from bench import backbones
from bench.backbones.staged import StagedBackbone
from bench.system.compat import import_timm

# spec, image size, the same network in timm (None: ours alone)
FAMILIES = [
    ("efficientnet_lite0", 64, "tf_efficientnet_lite0"),
    ("mobilenetv3_large", 64, "mobilenetv3_large_100"),
    ("resnet18", 64, "resnet18"),
    ("timm:resnet26d", 64, "resnet26d"),
    ("deit_tiny", 48, "deit_tiny_patch16_224"),
    ("timm:vit_tiny_patch16_224", 32, "vit_tiny_patch16_224"),
    ("timm:deit3_small_patch16_224", 32, "deit3_small_patch16_224"),
    ("timm:vit_xsmall_patch16_clip_224", 32, "vit_xsmall_patch16_clip_224"),
    ("timm:vit_dpwee_patch16_reg1_gap_256", 32, "vit_dpwee_patch16_reg1_gap_256"),
    ("t2t_vit_7", 32, None),
    ("cifar_resnet20", 32, None),
    ("msdnet", 32, None),
]
IDS = [name for name, _, _ in FAMILIES]


def build(name: str, size: int, **options: object) -> StagedBackbone:
    """Build one of them with ten classes; weights are drawn anew unless options say otherwise."""
    return backbones.load(name, **{"num_classes": 10, "image_size": size, "weights": "random", **options})


def images(count: int, size: int) -> torch.Tensor:
    """Fixed noise that looks like normalised images."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(7))


def in_one_go(backbone: StagedBackbone, arch: str, batch: torch.Tensor) -> torch.Tensor:
    """Logits of timm's own model, whole, with the backbone's weights."""
    timm = import_timm()
    sizing = {"img_size": backbone.image_size} if hasattr(backbone.trunk, "patch_embed") else {}
    model = timm.create_model(arch, num_classes=10, **sizing).eval()
    state = dict(backbone.trunk.state_dict())
    classifier = model.pretrained_cfg["classifier"]
    state |= {f"{classifier}.{k}": v for k, v in backbone.head.state_dict().items()}
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        return model(batch)
