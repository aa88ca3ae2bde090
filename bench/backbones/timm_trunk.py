"""Build timm models as trunks: find them, load weights, and detach their classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bench.backbones.hub import hub_resolves, watch_hub
from bench.backbones.staged import Options, Origin, Preprocessing
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
from bench.system.compat import import_timm
from bench.system.network import ToDownload, about_to_download, downloads_allowed, hub_offline
from bench.system.public_data import tag_has_seen_imagenet

IMAGENET = Origin(frozenset({"imagenet"}), "imagenet")


@dataclass(frozen=True)
class Trunk:
    """A timm model whose classifier is an Identity, that classifier, and metadata of both."""

    model: Any
    head: nn.Linear
    preprocessing: Preprocessing
    origin: Origin
    image_size: int


def build_trunk(
    owner: str, arch: str, options: Options, *, image_size: int, resizable: bool = False, headless: bool = False
) -> Trunk:
    """Build the timm model `arch` (a tag may follow a dot) and detach its classifier.

    Weights come from the option `weights`, else from a file `ARCH.safetensors` (or .pth, with or without the tag) in
    the data folders, else from timm's own download and cache.
    resizable: the model is built for one image size (ViT). headless: drop the classifier of the weights.
    Raises UserError if weights are not available or do not fit.
    """
    timm = import_timm()
    cfg = timm.models.get_pretrained_cfg(arch)
    sizing: dict[str, Any] = {"img_size": image_size} if resizable else {}
    weights, num_classes = options.get("weights"), options.get("num_classes")
    files = [f"{stem}{suffix}" for stem in (arch, arch.partition(".")[0]) for suffix in SUFFIXES]
    native = 0 if headless else cfg.num_classes
    if weights == RANDOM:
        classes = num_classes or native
        model = seeded(lambda: timm.create_model(arch, pretrained=False, num_classes=classes, **sizing))
        origin = Origin()
    elif path := locate(weights, files, options.get("data_dir")):
        state = read_checkpoint(path)
        if headless:
            state = {k: v for k, v in state.items() if not k.startswith(f"{cfg.classifier}.")}
        classes = len(state[f"{cfg.classifier}.weight"]) if f"{cfg.classifier}.weight" in state else 0
        model = timm.create_model(arch, pretrained=False, num_classes=classes, **sizing)
        load_strictly(model, _adapted(state, model) if resizable else state, str(path))
        origin = origin_of(path, classes=classes or None, options=options, family=_origin(cfg, 0))
    else:
        model = _download(owner, arch, timm, {**sizing, "num_classes": 0} if headless else sizing)
        origin = _origin(cfg, native)
    own = getattr(model, cfg.classifier)
    own = own if isinstance(own, nn.Linear) else None
    head, origin = fit_head(own, model.head_hidden_size, num_classes, origin, owner)
    setattr(model, cfg.classifier, nn.Identity())
    interpolation = cfg.interpolation if cfg.interpolation in ("bilinear", "bicubic") else "bicubic"
    return Trunk(model, head, Preprocessing(tuple(cfg.mean), tuple(cfg.std), interpolation), origin, image_size)


def _adapted(state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Let timm rename the keys of original ViT releases and resize their position table."""
    from timm.models.vision_transformer import checkpoint_filter_fn

    return checkpoint_filter_fn(dict(state), model)


def _origin(cfg: Any, classes: int) -> Origin:
    """Return what timm's own weights have seen, from their tag; only a 1,000-class head predicts ImageNet's classes."""
    saw = classes == 1000 or tag_has_seen_imagenet(cfg.tag or "")
    return Origin(IMAGENET.seen if saw else frozenset(), "imagenet" if classes == 1000 else None)


def _download(owner: str, arch: str, timm: Any, arguments: dict[str, Any]) -> Any:
    """Create a model with timm's pretrained weights, from the hub's cache or downloaded.

    Raises ToDownload if they are missing and downloads are not allowed, UserError if they cannot be downloaded.
    """
    allowed, model_id = downloads_allowed(), timm.models.get_pretrained_cfg(arch).hf_hub_id
    if not model_id:
        about_to_download(f"The weights of {owner} (timm {arch})")  # not from the hub, so there is no cache
    try:
        with hub_offline(not allowed or not hub_resolves()):
            model = timm.create_model(arch, pretrained=True, **arguments)
    except (OSError, RuntimeError, ValueError) as error:
        if not allowed:
            raise ToDownload(f"The weights of {owner} (timm {arch})") from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"The weights of {owner} (timm {arch}) are not on this machine and cannot be downloaded: {reason} "
            f"Connect to the Hugging Face hub once, or put {arch.partition('.')[0]}.safetensors into "
            "$BENCH_DATA/weights, or give a file with --weights PATH."
        ) from error
    watch_hub(model_id)
    return model
