"""Frozen backbones, cut into stages with an exit after each: entry points of `bench.backbones`, or `module:factory`."""

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

    name: `name[param=value,…]`, `timm:NAME`, the folder of a network that `bench finetune` made, or `module:factory`.

    num_classes: size of the final head; None keeps the pretrained one. A pretrained head of another size is replaced by
        a fresh one with `head_for` None, so that a linear probe is fitted.
    image_size: side of the square input in pixels; None takes the default for large images (`default_image_size`), or
        the size that a third-party network was built for. For texts: the maximum number of tokens, like `max_tokens`.
    weights: None (the pretrained ones), the path of a checkpoint, or "random" (the same draw every time).
    exits: None (the family's default), "blocks", "stages" (CNNs), "every=N", or 0-based block indices, "2,5,8";
        -1 is before the first block of a text encoder.
    data_dir: searched first for weight files, including its subfolder `weights`; then come `$BENCH_DATA` and
        the libraries' own caches and downloads.
    `exits`, `image_size` and `weights` may also be given in brackets. Raises UserError if something is not available.
    """
    from bench.backbones.builder import find
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
    builder = find(name)
    spec = builder.spec
    extra = {k: v for k, v in builder.parameters.items() if k not in (*_SHARED, "argument")}
    owner = f"{spec.name}:{spec.argument}" if builder.imported else spec.name
    params = typed(owner, spec.params, {**bracketed, **extra})
    for key in bracketed:
        if key in params:
            value = params.pop(key)
            if given[key] not in (None, value):
                raise UserError(f"'{spec}' sets {key}={value}, but {key}={given[key]} was also given. Keep one.")
            given[key] = value
    described = [k for k in ("seen", "head_for") if params.get(k) is not None]
    brings = builder.foreign or (given["weights"] is None and hasattr(builder.function, "argument_names_weights"))
    if described and given["weights"] in (None, "random") and not brings:
        raise UserError(
            f"'{described[0]}' describes a weight file, but '{spec}' has none. Add weights=PATH, or leave it out."
        )
    if spec.argument is not None and not builder.imported:
        if "argument" not in builder.parameters:
            raise UserError(f"'{spec.name}' takes no argument after a colon; leave '{spec.argument}' out.")
        params["argument"] = spec.argument
    if builder.foreign:
        from bench.backbones.foreign import make

        return make(builder, given, params)
    return builder.function(**given, **params)


def default_image_size(name: str | Spec, native: int | None) -> int | None:
    """Return a backbone's default input side in pixels for images of `native` pixels (their shorter side).

    None: the factory decides (third-party networks), the members do (cascades), or there are no pixels (texts).
    """
    from bench.backbones.builder import find

    builder = find(name)
    spec = builder.spec
    if "image_size" in spec.params:
        from bench.plugins.spec import typed

        return typed(spec.name, {"image_size": spec.params["image_size"]}, {"image_size": int})["image_size"]
    if native is None:
        return None
    rule = getattr(builder.function, "default_image_size", None)
    if rule is None:
        return None if builder.foreign else 224
    return rule(native, spec.argument) if "argument" in builder.parameters else rule(native)


def for_images(name: str | Spec, native: int | None, image_size: int | None = None) -> tuple[Spec, int | None]:
    """Return a backbone's spec, and its input side in pixels for images of `native` pixels: `image_size` if given.

    Members of a cascade without a size get their default for such images, which is then part of the spec. If `native`
    is None (no pixels), nothing is chosen.
    """
    from dataclasses import replace

    from bench.backbones.builder import find

    builder = find(name)
    spec = builder.spec
    if native is None:
        return spec, image_size
    rule = getattr(builder.function, "sized", None)
    if rule is not None and image_size is None and "image_size" not in spec.params:
        spec = replace(spec, argument=rule(native, spec.argument))
    return spec, image_size or default_image_size(spec, native)


def load_to_fill(
    name: str | Spec, *, num_classes: int | None, image_size: int | None, exits: str | None
) -> StagedBackbone:
    """Build a backbone whose weights are about to be replaced: random, or those that a third-party factory loads."""
    from bench.backbones.builder import find

    builder = find(name)
    if builder.foreign:
        exits, weights = exits if builder.takes("exits") else None, None
    else:
        weights = "random"
    return load(builder.spec, num_classes=num_classes, image_size=image_size, exits=exits, weights=weights)
