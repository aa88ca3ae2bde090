"""Frozen pretrained backbones, cut into stages with an exit after each. Names are entry points of `bench.backbones`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone
    from bench.plugins.spec import Spec

_SHARED = ("num_classes", "image_size", "weights", "exits", "data_dir")


def load(
    name: str | Spec,
    *,
    num_classes: int | None = None,
    image_size: int | None = None,
    weights: str | Path | None = None,
    exits: str | None = None,
    data_dir: str | Path | None = None,
) -> StagedBackbone:
    """Build a backbone, frozen and in eval mode, on the CPU.

    name: `name[param=value,…]`, `timm:NAME`, or the folder of a network that `bench finetune` made.

    num_classes: size of the final head; None keeps the pretrained one. Where the pretrained head has another size a
        fresh head takes its place and `head_for` is None, which asks for a linear probe.
    image_size: side of the square input in pixels; None takes the size that suits large images (`default_image_size`).
    weights: None (the pretrained ones), the path of a checkpoint, or "random" (the same draw every time).
    exits: None (the family's default), "blocks", "stages" (CNNs), "every=N", or 0-based block indices, "2,5,8".
    data_dir: searched first for weight files, with its folder `weights`; then come `$BENCH_DATA` and
        the libraries' own caches and downloads.
    `exits`, `image_size` and `weights` may be given in brackets, too. Raises UserError for what is not available.
    """
    spec, builder, hints = _builder(name)
    from bench.errors import UserError
    from bench.plugins.spec import typed

    given: dict[str, Any] = {
        "num_classes": num_classes,
        "image_size": image_size,
        "weights": weights if weights is None else str(weights),
        "exits": exits,
        "data_dir": None if data_dir is None else Path(data_dir),
    }
    bracketed = {"image_size": int | None, "weights": str | None, "exits": str | None}
    extra = {k: v for k, v in hints.items() if k not in (*_SHARED, "argument", "return")}
    params = typed(spec.name, spec.params, {**bracketed, **extra})
    for key in bracketed:
        if key in params:
            value = params.pop(key)
            if given[key] not in (None, value):
                raise UserError(f"'{spec}' says {key}={value}, but {key}={given[key]} was asked for as well. Keep one.")
            given[key] = value
    described = [k for k in ("seen", "head_for") if params.get(k) is not None]
    if described and given["weights"] in (None, "random"):
        raise UserError(
            f"'{described[0]}' describes a weight file, and '{spec}' names none. Add weights=PATH, or leave it out."
        )
    if spec.argument is not None:
        if "argument" not in hints:
            raise UserError(f"'{spec.name}' takes no argument after a colon; leave '{spec.argument}' out.")
        params["argument"] = spec.argument
    return builder(**given, **params)


def default_image_size(name: str | Spec, native: int) -> int:
    """Return the input side in pixels that suits a backbone for images of `native` pixels (their shorter side)."""
    spec, builder, hints = _builder(name)
    if "image_size" in spec.params:
        from bench.plugins.spec import typed

        return typed(spec.name, {"image_size": spec.params["image_size"]}, {"image_size": int})["image_size"]
    rule = getattr(builder, "default_image_size", None)
    if rule is None:
        return 224
    return rule(native, spec.argument) if "argument" in hints else rule(native)


def _folder(name: str) -> Spec | None:
    """Return the spec of a network that a folder holds, None if the name is of no such folder."""
    from bench.backbones.network import is_network
    from bench.plugins import registry
    from bench.plugins.spec import Spec

    known = name in registry.plugins("backbones")
    return Spec("network", argument=name) if not known and is_network(name) else None


def _builder(name: str | Spec) -> tuple[Spec, Any, dict[str, Any]]:
    """The parsed spec, the builder that it names and the builder's annotated parameters, an `Unpack[…]` spread out."""
    from typing import Unpack, get_args, get_origin, get_type_hints

    from bench.plugins import registry
    from bench.plugins.spec import Spec, parse

    spec = name if isinstance(name, Spec) else _folder(name) or parse(name)
    builder = registry.load("backbones", spec.name)
    hints: dict[str, Any] = {}
    for key, hint in get_type_hints(builder, include_extras=True).items():
        hints.update(get_type_hints(get_args(hint)[0]) if get_origin(hint) is Unpack else {key: hint})
    return spec, builder, hints
