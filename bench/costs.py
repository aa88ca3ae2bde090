"""Count the multiply-accumulates (MACs) of a backbone's matrix products and convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from bench.backbones.staged import StagedBackbone


def backbone_macs(backbone: StagedBackbone, image_size: int) -> tuple[int, ...]:
    """Return the MACs of one image up to each of the K exits; the last includes the backbone's own head.

    image_size: side in pixels; for a text backbone the number of tokens, over which attention is counted as well.
    PyTorch's operator-level counter runs during one staged forward pass on the meta device with the math attention
    kernel, so nothing is computed and the counts do not depend on the device or its attention kernel.
    """
    from bench.backbones.staged import on_meta

    shapes = on_meta(backbone)
    inputs = shapes.example(image_size, "meta")
    last = backbone.num_exits - 1
    totals: list[int] = []
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        state = shapes.start(inputs)
        for k in range(backbone.num_exits):
            state = shapes.stage(k, state)
            features = shapes.feature(k, state)
            if k == last:
                shapes.head(features)
            totals.append(counter.get_total_flops() // 2)
    return tuple(totals)
