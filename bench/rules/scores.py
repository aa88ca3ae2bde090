"""Confidence scores: how ready a sample is to leave at an exit, from the answers so far."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from bench.exits import by_rows, entropy


class Score(nn.Module):
    """How ready a sample is to leave at exit k; a higher score leaves earlier."""

    def forward(self, k: int, logits: Tensor) -> Tensor:
        """Return scores [N], float64, from the answers [N, k+1, C] of exits 0 … k."""
        raise NotImplementedError

    def macs(self, k: int, classes: int) -> int:
        """Count the multiply-accumulates per sample of the score at exit k."""
        raise NotImplementedError

    def all(self, logits: Tensor) -> Tensor:
        """Return the scores [N, K-1] of every gate from the answers [N, K, C] of all exits."""
        gates = [by_rows(partial(self, k), logits[:, : k + 1]) for k in range(logits.shape[1] - 1)]
        return torch.stack(gates, 1) if gates else logits.new_empty(len(logits), 0, dtype=torch.float64)


class Pointwise(Score):
    """A score of one exit's answer alone: a function of logits [..., C] that costs `per_class` MACs for each class."""

    def __init__(self, function: Callable[[Tensor], Tensor], per_class: int = 1) -> None:
        super().__init__()
        self.function, self.per_class = function, per_class

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return self.function(logits[:, k])

    def macs(self, k: int, classes: int) -> int:
        return self.per_class * classes

    def all(self, logits: Tensor) -> Tensor:
        return by_rows(self.function, logits[:, :-1])


def max_probability(logits: Tensor) -> Tensor:
    """Return the largest softmax probability [...] of logits [..., C], in float64 so that it saturates late."""
    return logits.double().softmax(-1).max(-1).values


def negative_entropy(logits: Tensor) -> Tensor:
    """Return minus the entropy (nats) [...] of softmax(logits [..., C]), in float64."""
    return -entropy(logits.double().log_softmax(-1))


def margin(logits: Tensor) -> Tensor:
    """Return the gap [...] between the two largest softmax probabilities of logits [..., C], float64; 1 if C = 1."""
    p = logits.double().softmax(-1)
    if p.shape[-1] == 1:
        return p.squeeze(-1)
    first, second = p.topk(2, -1).values.unbind(-1)
    return first - second


def energy(logits: Tensor) -> Tensor:
    """Return logsumexp [...] of logits [..., C], minus the free energy at temperature 1 (Liu et al., 2020), float64."""
    return logits.double().logsumexp(-1)
