"""Reference rows that every table needs: static exits, and the oracle that knows the labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.heads.recipe import Heads
from bench.method import ExitData
from bench.play import Outcomes
from bench.rules import HeadsPolicy


class StaticPolicy(HeadsPolicy):
    """Everybody leaves at one fixed exit; only the heads that this exit needs are run and counted."""

    def __init__(self, heads: Heads, exits: int, exit_index: int) -> None:
        super().__init__(heads, exits)
        self.exit_index = exit_index

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return torch.full((len(logits),), k == self.exit_index, dtype=torch.bool, device=logits.device)

    def macs(self, k: int) -> int:
        return self.heads.macs(k) if k == self.exit_index or self.heads.needs_previous else 0


def oracle(heads: Heads, data: ExitData, backbone_macs: Sequence[int]) -> Outcomes:
    """Let every sample leave at its earliest correct exit, or at the first where none is correct.

    The labels decide, so this is no policy: it bounds what any rule on these heads can reach. All heads on the way are
    counted, no gates.
    """
    logits = heads.logits(data)
    correct = logits.argmax(-1) == data.labels[:, None]
    index = torch.where(correct.any(1), correct.to(torch.int8).argmax(1), 0)
    added = torch.tensor([heads.macs(k) for k in range(len(backbone_macs))], device=index.device).cumsum(0)
    costs = torch.tensor(backbone_macs, device=index.device) + added
    left_with = logits.gather(1, index[:, None, None].expand(-1, 1, logits.shape[-1])).squeeze(1)
    return Outcomes(index, left_with, data.labels, costs[index], logits)
