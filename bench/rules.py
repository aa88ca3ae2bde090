"""Threshold rules: leave at the first exit whose confidence score reaches its threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.exits import entropy
from bench.heads.recipe import Heads
from bench.method import Infeasible, Policy, Task

Score = Callable[[Tensor], Tensor]


def max_probability(logits: Tensor) -> Tensor:
    """Return the largest softmax probability [...] of logits [..., C], in float64 so that it saturates late."""
    return logits.double().softmax(-1).max(-1).values


def negative_entropy(logits: Tensor) -> Tensor:
    """Return minus the entropy (nats) [...] of softmax(logits [..., C]), in float64."""
    return -entropy(logits.double().log_softmax(-1))


class ThresholdPolicy(Policy):
    """Heads with a confidence score: leave at exit k when score(logits of exit k) >= thresholds[k]."""

    thresholds: Tensor

    def __init__(self, heads: Heads, score: Score, thresholds: Tensor, gate_macs: int) -> None:
        super().__init__()
        self.heads, self.score, self.gate_macs = heads, score, gate_macs
        self.register_buffer("thresholds", thresholds.to(torch.float64))

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.heads(k, features, previous)

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return self.score(logits[:, k]) >= self.thresholds[k]

    def macs(self, k: int) -> int:
        return self.heads.macs(k) + (self.gate_macs if k < len(self.thresholds) - 1 else 0)


def exit_fractions(task: Task, added: Callable[[int], int]) -> Tensor:
    """Return the cost [K] of leaving at each exit as a fraction of the plain backbone; exit k adds `added(k)` MACs."""
    extra = torch.tensor([added(k) for k in range(task.num_exits)], dtype=torch.float64).cumsum(0)
    return (torch.tensor(task.macs, dtype=torch.float64) + extra) / task.macs[-1]


def too_small(budget: float, cheapest: float) -> Infeasible:
    """Say that not even the cheapest operating point of a method meets this budget."""
    return Infeasible(f"budget {budget:g} is below the cheapest operating point, {cheapest:.4f} of the plain backbone")
