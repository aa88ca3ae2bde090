"""The contract of head recipes: a recipe trains the heads of all intermediate exits on frozen features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.exits import PART, ForwardPass
from bench.method import ExitData, Task

BATCH = 4096  # samples per forward pass of heads, if memory is limited


class Heads(nn.Module):
    """Fitted heads of one recipe. The last exit answers with the frozen head's logits, unless a recipe changes them."""

    needs_previous: bool = False  # True if exit k's head or answer reads the logits of earlier exits

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        """Return the logits [N, C] of exit k from its features [N, D_k] and the logits of exits < k."""
        raise NotImplementedError

    def combine(self, k: int, logits: Tensor) -> Tensor:
        """Return exit k's answer [N, C] from the heads' logits [N, k+1, C] of exits 0 … k; by default those of k."""
        return logits[:, k]

    def macs(self, k: int) -> int:
        """Return the multiply-accumulates per sample that exit k's head and mixing add (the frozen head adds none)."""
        raise NotImplementedError

    @torch.no_grad()
    def logits(self, data: ExitData, batch_size: int | None = None) -> Tensor:
        """Return the answers of all exits on a split: logits [N, K, C], computed for `batch_size` samples at a time.

        By default for all samples at once, unless that would take too much memory.
        """
        n, size = len(data), batch_size
        if size is None:
            size = max(BATCH, PART // (data.num_exits * data.batch(data.num_exits - 1, slice(1)).shape[-1]))
        first = self._answers(data, slice(0, size))
        if n <= size:
            return first
        found = first.new_empty(n, *first.shape[1:])
        found[:size] = first
        for start in range(size, n, size):
            found[start : start + size] = self._answers(data, slice(start, start + size))
        return found

    def _answers(self, data: ExitData, rows: slice) -> Tensor:
        forward = ForwardPass(self, None if type(self).combine is Heads.combine else self.combine)
        for k in range(data.num_exits):
            forward.step(data.batch(k, rows))
        return forward.answers


class Recipe(ABC):
    """A way to train heads; one instance is one configured recipe (`config` is an instance of `Config`).

    Raise `version` when the trained heads may change: see `bench.method.Method`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Config: ClassVar[type]

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @abstractmethod
    def fit(self, task: Task) -> Heads:
        """Train the heads on task.train; task.val may be used for early stopping."""


def linear_macs(inputs: int, outputs: int) -> int:
    """Return the MACs of a linear layer on one vector; its bias adds nothing."""
    return inputs * outputs
