"""Heads that mix the answers of another recipe's heads over the exits so far."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.recipe import Heads


class MixedHeads(Heads):
    """Heads whose answer at exit k is a mixture of the base heads' answers at exits 0 … k; a subclass defines it."""

    needs_previous = True

    def __init__(self, base: Heads, classes: int) -> None:
        super().__init__()
        self.base, self.classes = base, classes

    @abstractmethod
    def mix(self, answers: Tensor) -> Tensor:
        """Return the mixture [N, C] of the answers [N, k+1, C] of exits 0 … k."""

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.base(k, features, previous)

    def combine(self, k: int, logits: Tensor) -> Tensor:
        if type(self.base).combine is not Heads.combine:
            logits = torch.stack([self.base.combine(j, logits[:, : j + 1]) for j in range(k + 1)], 1)
        return self.mix(logits)
