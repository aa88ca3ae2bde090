"""Run a plan's backbone on a device, in the plan's precision and memory format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.bank.plan import Plan


@contextmanager
def ready(plan: Plan, device: torch.device) -> Iterator[None]:
    """Move the backbone to the device for the block, with deterministic convolutions and without TF32."""
    plan.backbone.to(device).eval()
    if plan.channels_last:
        _lay_out(plan.backbone, torch.channels_last)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        if plan.channels_last:
            _lay_out(plan.backbone, torch.contiguous_format)


def _lay_out(backbone: nn.Module, memory_format: torch.memory_format) -> None:
    for parameter in backbone.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


def laid_out(plan: Plan, inputs: Tensor) -> Tensor:
    """Return images [B, 3, size, size] in the plan's memory format."""
    return inputs.contiguous(memory_format=torch.channels_last) if plan.channels_last else inputs


def features(plan: Plan, inputs: Tensor) -> list[Tensor]:
    """Return the features [B, D_k] of all K exits, under autocast if the plan's precision asks for it."""
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"):
        return list(plan.backbone.features(laid_out(plan, inputs)))
