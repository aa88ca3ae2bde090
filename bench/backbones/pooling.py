"""Pool the tokens of a transformer into the features that heads see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from bench.backbones.staged import Options, Origin
from bench.backbones.weights import fit_head

Pooling = Literal["mean", "cls", "both"]


class PooledOptions(Options, total=False):
    """Additional option of builders of vision transformers: how tokens are pooled; None is the family's default."""

    pooling: Pooling | None


def pooled(how: Pooling, cls: Callable[[], Tensor], mean: Callable[[], Tensor]) -> Tensor:
    """Return the class token [N, D], the mean of the tokens [N, D], or both side by side [N, 2·D]."""
    parts = [part() for part, name in ((cls, "cls"), (mean, "mean")) if how in (name, "both")]
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def pooled_width(how: Pooling, width: int) -> int:
    """Return the width of features pooled from tokens of width D."""
    return 2 * width if how == "both" else width


def pooled_name(name: str, how: Pooling | None) -> str:
    """Return the name of a backbone, with `pooling` if it is not the default."""
    return name if how is None else f"{name}[pooling={how}]"


def pooled_head(head: nn.Linear, origin: Origin, how: Pooling | None, width: int) -> nn.Linear:
    """Return the pretrained head if the last exit keeps its own pooling, otherwise a fresh one of the new width."""
    if how is None or origin.head_for is not None:
        return head
    return fit_head(None, pooled_width(how, width), head.out_features, origin, "")[0]
