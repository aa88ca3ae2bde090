"""Check the stages of a network: what they return and cost, that samples stay separate, and that they add up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bench.check.network.subject import Network
from bench.check.result import Caution, Violation
from bench.costs import backbone_macs

CLOSE = 1e-4  # relative to the largest value: tolerated change with the batch shape or the order of sums


def shapes(network: Network) -> str:
    """Compare the outputs of one and of several images with what is declared."""
    b = network.backbone
    if len(b.exit_names) != b.num_exits or len(b.feature_dims) != b.num_exits - 1:
        raise Violation(
            f"{b.num_exits} exits have {len(b.exit_names)} names and {len(b.feature_dims)} intermediate widths: leave "
            "exit_names and feature_dims to StagedBackbone."
        )
    if not isinstance(b.head, torch.nn.Linear):
        raise Violation(
            f"The head is {type(b.head).__name__}: it must be an nn.Linear, so that a probe can replace it."
        )
    for images in (network.images(1), network.images()):
        for title, width, found in zip(
            network.titles(), (*b.feature_dims, b.final_dim), _features(network, images), strict=False
        ):
            _check_shape(title, found, len(images), width)
        _check_shape("the logits", network.run(images)[-1], len(images), b.num_classes)
    native = [(layer.in_features, layer.out_features) for layer in b.native]
    if native and native != [(width, b.num_classes) for width in b.feature_dims] and network.num_classes is None:
        raise Violation(
            f"The native heads map {', '.join(f'{a} to {c}' for a, c in native)}: give one for each intermediate exit, "
            f"from {', '.join(map(str, b.feature_dims))} features to {b.num_classes} classes."
        )
    if b.num_exits == 1:
        return Caution("The only exit is the head, so nothing can leave early: list more stages, or place exits.")
    return f"Widths {', '.join(map(str, (*b.feature_dims, b.final_dim)))}."


@torch.no_grad()
def _features(network: Network, images: Tensor) -> list[Tensor]:
    return network.backbone.features(images)


def _check_shape(title: str, found: object, count: int, width: int) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != (count, width):
        what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise Violation(
            f"For a batch of {count} {title} are {what}, not [{count}, {width}]: return one row per image, as wide as "
            "for the single image that the widths are read from."
        )
    if found.dtype != torch.float32:
        raise Violation(f"{title.capitalize()} are {found.dtype}: return float32; a bank chooses its number format.")


def finite(network: Network) -> None:
    """Look for NaN and infinity."""
    for title, found in zip(network.titles(), network.outputs, strict=True):
        if not bool(found.isfinite().all()):
            raise Violation(f"{title.capitalize()} contain NaN or infinity: check the weights and all divisions.")
        if float(found.abs().max()) > 6e4 and title != "the logits":
            raise Violation(
                f"{title.capitalize()} exceed 60,000, the range of float16: normalise, or use float32 banks."
            )


def batch(network: Network) -> None:
    """Run the images in reverse and one by one."""
    images = network.images()
    reverse = [x.flip(0) for x in network.run(images.flip(0))]
    alone = [torch.cat(parts) for parts in zip(*(network.run(image[None]) for image in images), strict=True)]
    for how, other in (("in another order", reverse), ("alone", alone)):
        for title, a, b in zip(network.titles(), network.outputs, other, strict=True):
            if (gap := difference(a, b)) > CLOSE:
                raise Violation(
                    f"{title.capitalize()} of an image change by {gap:.1%} when it is run {how}: nothing may mix the "
                    "images of a batch. Look for batch norm in training mode, and for means over dimension 0."
                )


@torch.no_grad()
def state(network: Network) -> None:
    """Run stage by stage; compare each input with its copy from before, and take samples out of each state."""
    b = network.backbone
    current: Any = network.images()
    for k in range(-1, b.num_exits):
        before, count, title = _copies(current), len(current), f"stage {k}" if k >= 0 else "start"
        after = b.stage(k, current) if k >= 0 else b.start(current)
        if not _equal(before, current):
            raise Violation(
                f"{title.capitalize()} changes its input in place, which exit {max(k - 1, 0)} or a policy may still "
                "read: use inplace=False in its first layers, and x = x + y in place of x += y."
            )
        if not _can_drop(after, count):
            what = list(after.shape) if isinstance(after, Tensor) else type(after).__name__
            raise Violation(
                f"{title.capitalize()} returns {what} for {count} images, from which leaving images cannot be removed: "
                "return one tensor with the batch first, or an object with state[mask] and len(state)."
            )
        if k >= 0:
            kept = _copies(after)
            b.feature(k, after)
            if not _equal(kept, after):
                raise Violation(f"Pooling at exit {k} changes the state in place, which the next stage reads: copy it.")
        current = after


def _can_drop(state: Any, count: int) -> bool:
    mask = torch.arange(count) % 2 == 0
    try:
        return len(state) == count and len(state[mask]) == int(mask.sum())
    except Exception:  # the author's object may raise anything
        return False


def _tensors(state: Any) -> list[Tensor]:
    """Return the tensors that a state is made of."""
    if isinstance(state, Tensor):
        return [state]
    parts = (
        state if isinstance(state, list | tuple) else list(vars(state).values()) if hasattr(state, "__dict__") else []
    )
    return [tensor for part in parts for tensor in _tensors(part)]


def _copies(state: Any) -> list[Tensor]:
    return [tensor.clone() for tensor in _tensors(state)]


def _equal(copies: list[Tensor], state: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(copies, _tensors(state), strict=True))


@torch.no_grad()
def whole(network: Network) -> str:
    """Compare the stages with the network's own forward pass."""
    own = getattr(network.backbone, "whole", None)
    if own is None:
        if not network.foreign:
            return "Nothing to compare with."
        return Caution("Nothing to compare with. Give `from_stages` whole=NETWORK, and this check compares the two.")
    given, (*_, features, logits) = own(network.images()), network.outputs
    if not isinstance(given, Tensor):
        raise Violation(f"The whole network returns {type(given).__name__}: wrap it in a module that returns logits.")
    ours = next((x for x in (logits, features) if x.shape == given.shape), None)
    if ours is None and network.num_classes is not None:
        return f"Not compared: the head has {network.num_classes} classes only for this check."
    if ours is None:
        raise Violation(
            f"The whole network returns {list(given.shape)}, but the stages and the head give {list(logits.shape)}: "
            "list all stages, and give the head that the network ends with."
        )
    if (gap := difference(given, ours)) > CLOSE:
        raise Violation(
            f"The stages and the head differ from the whole network by {gap:.1%}: look for a missing, repeated or "
            "misplaced stage, for an activation or a norm between stages, and for a different pooling."
        )
    return "Equal up to rounding."


def costs(network: Network) -> str:
    """Count MACs up to each exit."""
    macs = backbone_macs(network.backbone, network.backbone.image_size)
    free = network.backbone.exit_names[0] == "embeddings"  # tables are looked up, nothing is multiplied
    for k, (a, b) in enumerate(pairwise((-1 if free else 0, *macs))):
        if b <= a:
            raise Violation(
                f"Exit {k} costs {b:,} MACs, no more than the {a:,} before it, so nothing is saved by leaving earlier: "
                "merge this stage with a neighbour. Matrix products and convolutions are counted, nothing else."
            )
    return f"Exits cost {', '.join(f'{m / macs[-1]:.0%}' for m in macs)} of {macs[-1]:,} MACs."


def difference(a: Tensor, b: Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    return float((a - b).abs().max() / a.abs().max().clamp_min(1e-12))
