"""Any timm model of a family that can be cut, `timm:NAME`."""

from __future__ import annotations

from typing import Unpack

from bench.backbones.pooling import PooledOptions
from bench.backbones.staged import StagedBackbone
from bench.errors import UserError, nearest
from bench.system.compat import import_timm

_VIT_MODULES = ("vision_transformer", "deit")
_CNN_MODULES = ("efficientnet", "mobilenetv3", "resnet")
_SUPPORTED = "ViT, DeiT, DINOv2 and CLIP transformers; EfficientNet, MobileNet and ResNet CNNs"


def timm_model(*, argument: str | None = None, **options: Unpack[PooledOptions]) -> StagedBackbone:
    """Any timm ViT, DeiT, EfficientNet, MobileNet or ResNet by its timm name, `timm:NAME`."""
    arch, is_vit = _family(argument)
    options["image_size"] = options.get("image_size") or default_image_size(256, argument)
    if is_vit:
        from bench.backbones.timm_vit import build_vit

        return build_vit(f"timm:{arch}", arch, options)
    from bench.backbones.timm_cnn import build_cnn

    if options.pop("pooling", None) is not None:
        raise UserError(f"timm:{arch} is not a transformer, so it has no tokens to pool. Leave pooling out.")
    return build_cnn(f"timm:{arch}", arch, options)


def default_image_size(native: int, argument: str | None) -> int:
    """Return a transformer's training size; for a CNN, 96 pixels for images of at most 64, else 224."""
    arch, is_vit = _family(argument)
    if is_vit:
        return int(import_timm().models.get_pretrained_cfg(arch).input_size[-1])
    return 96 if native <= 64 else 224


timm_model.default_image_size = default_image_size  # type: ignore[attr-defined]


def _family(argument: str | None) -> tuple[str, bool]:
    """Return the timm name and whether it is a transformer; UserError for an unknown name or another family."""
    timm = import_timm()
    if not argument:
        raise UserError("Give the name of the timm model: timm:NAME, as in timm:deit_small_patch16_224.")
    base = argument.partition(".")[0]
    if not timm.is_model(base):
        raise UserError(f"timm has no model '{base}'.{nearest(base, timm.list_models())}")
    known = timm.models.get_arch_pretrained_cfgs(base)
    if argument != base and argument not in known:
        raise UserError(f"timm has no weights '{argument}'.{nearest(argument, known)}")
    module = timm.models.model_entrypoint(base).__module__.rpartition(".")[2]
    if module not in (*_VIT_MODULES, *_CNN_MODULES) or "distilled" in base:
        raise UserError(f"timm:{argument} cannot be divided into stages ({module}). Supported families: {_SUPPORTED}.")
    return argument, module in _VIT_MODULES
