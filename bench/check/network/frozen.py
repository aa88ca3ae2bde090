"""Check that a network is built and computes the same every time, and that it describes itself."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.check.network.subject import Network
from bench.check.repeats import scatter
from bench.check.result import Caution, Violation
from bench.inputs import size_text
from bench.plugins.registry import plugins
from bench.system.public_data import mentioned


def builds(network: Network) -> str:
    """Build the network; errors while building it are reported as they are."""
    b = network.backbone
    native = f", {len(b.native)} native heads" if len(b.native) else ""
    return f"{b.num_exits} exits, {size_text(b.image_size, b.modality)}, {b.num_classes} classes{native}."


def stated(network: Network) -> str:
    """Check the preprocessing, and return what decides the data split, for its author to verify."""
    b = network.backbone
    if b.modality == "text":
        b.preparation()  # raises if there is a problem with the tokenizer
    elif len(b.mean) != 3 or len(b.std) != 3 or min(b.std) <= 0:
        raise Violation("mean and std must be three numbers each, std above 0: images are standardised per channel.")
    elif b.interpolation not in ("bilinear", "bicubic"):
        raise Violation(f"Interpolation '{b.interpolation}' is not available: use 'bilinear' or 'bicubic'.")
    said = f"Weights have seen {', '.join(sorted(b.seen)) or 'no public dataset'}; the head is for "
    said += f"{b.head_for or 'no dataset, so a linear probe takes its place'}."
    unknown = [
        n for n in sorted(b.seen | {b.head_for or "imagenet"}) if n not in plugins("datasets") and mentioned(n) != {n}
    ]
    if unknown:
        known = ", ".join(sorted({*plugins("datasets"), "imagenet"}))
        return Caution(f"{said} There is no dataset '{unknown[0]}', so the name has no effect. Known: {known}.")
    return said


def rebuilds(network: Network) -> None:
    """Build the network again with other global random states."""
    scatter(1)
    if network.build().weights_digest != network.backbone.weights_digest:
        raise Violation(
            "Building twice gives different weights, so stored features can never be reused. Load trained weights in "
            "the factory, or draw them from a generator with a fixed seed."
        )


def frozen(network: Network) -> None:
    """Look for trainable parameters and for modules in training mode."""
    b = network.backbone
    if trainable := [name for name, p in b.named_parameters() if p.requires_grad]:
        raise Violation(
            f"{len(trainable)} parameters require a gradient, for example {trainable[0]}: call requires_grad_(False)."
        )
    if training := [name or "the backbone" for name, m in b.named_modules() if m.training]:
        raise Violation(
            f"{len(training)} modules are in training mode, for example {training[0]}, so dropout or batch norm would "
            "act on features: call eval(), and let no module's train() switch back."
        )


def deterministic(network: Network) -> None:
    """Run the same images twice, other images in between, with other global random states."""
    scatter(1)
    first = network.run(network.images())
    network.run(network.images(seed=1))
    scatter(2)
    for title, a, b in zip(network.titles(), first, network.run(network.images()), strict=True):
        if not torch.equal(a, b):
            raise Violation(
                f"The same images give different values the second time: {title} change by up to "
                f"{float((a - b).abs().max()):.2g}. Draw no random numbers in forward (call dropout with "
                "training=self.training), and keep nothing from one call to the next."
            )


def unchanged(network: Network) -> None:
    """Compare parameters, buffers and modes before and after forward passes."""
    before = _held(network)
    network.run(network.images(seed=2))
    for name, value in _held(network).items():
        if name not in before or not torch.equal(value.nan_to_num(), before[name].nan_to_num()):
            raise Violation(
                f"A forward pass changes {name}, so features depend on which images came before. Run batch norm with "
                "its stored statistics (eval mode), and write to no buffer in forward."
            )
    frozen(network)


def _held(network: Network) -> dict[str, Tensor]:
    b = network.backbone
    return {name: value.clone() for name, value in [*b.named_parameters(), *b.named_buffers()]}
