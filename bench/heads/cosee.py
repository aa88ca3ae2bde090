"""COSEE heads: each exit is trained for the samples that are likely to leave near it (He et al., AAAI 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.exits import first_true
from bench.heads.layers import LayerHeads, LinearHeads, Net
from bench.heads.training import TrainingConfig, by_autograd, nll, start, train
from bench.method import Task
from bench.plugins.params import tunable
from bench.recipe import Recipe


@dataclass(frozen=True)
class COSEEConfig(TrainingConfig):
    """How sharply weights fall with the distance of the exit, the signal's calibration, and thresholds per batch."""

    sharpness: float = tunable(0.2, 0.01, 2.0, log=True)
    calibration: float = tunable(0.1, 0.01, 1.0, log=True)
    gap: float = 0.3
    thresholds: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sharpness < 0 or self.calibration < 0 or self.gap < 0:
            raise ValueError("sharpness, calibration and gap cannot be negative.")
        if self.thresholds < 1:
            raise ValueError("thresholds, the number of simulated policies per batch, must be at least 1.")


class COSEE(Recipe):
    """Sample weighting (COSEE, He et al., AAAI 2025): each exit emphasises the samples that are likely to leave there.

    Every batch simulates `thresholds` policies that leave at the first exit whose normalised energy E = 1 / (1 + Σ_c
    exp a_c) is below a threshold, drawn evenly from the range of E in the batch. A sample that leaves at exit i weighs
    softmax_j(-β_t |i - j|) at exit j; β_t rises from 0 to `sharpness` during training. The loss is the weighted
    cross-entropy, averaged over policies, plus `calibration` times the mean over exits of max(0, mean E of right
    samples - mean E of wrong ones + `gap`), which makes the signal separate right from wrong.

    Source: https://arxiv.org/abs/2412.13236, code He-Jianing/COSEE. The defaults of the three numbers are assumed.
    Differences: the backbone and the last head are frozen, so the last exit has samples but no loss; the release draws
    thresholds from the range of the epoch before; the schedule, AdamW and the choice of each head's epoch by its own
    val NLL are those that all recipes share.
    """

    name: ClassVar[str] = "cosee"
    Config: ClassVar[type] = COSEEConfig

    def fit(self, task: Task) -> LayerHeads:
        """Train the heads on task.train; select each head's epoch on task.val."""
        c = self.config
        if not task.train.features:
            return LinearHeads([])
        net = Net(task.train, task.num_classes, c.width, start(task))
        draws = torch.Generator(device=task.device).manual_seed(task.seed + 1)
        batches, taken = max(1, c.epochs * -(-len(task.train) // c.batch_size)), 0

        def loss(logits: Tensor, rows: Tensor) -> Tensor:
            nonlocal taken
            beta, taken = c.sharpness * taken / batches, taken + 1
            labels, signal = task.train.labels[rows], energy(logits)
            seen = signal.detach()
            limits = torch.rand(c.thresholds, generator=draws, device=seen.device)
            limits = seen.min() + (seen.max() - seen.min()) * limits
            left = first_true(limits[:, None, None] > seen.T)  # [T, B]
            weights = exit_weights(beta, len(logits)).to(logits)[left].mean(0)  # [B, E]
            right = logits.detach().argmax(-1) == labels
            return (weights.T * nll(logits, labels)).mean(1).sum() + c.calibration * overlap(signal, right, c.gap)

        def score(logits: Tensor) -> Tensor:
            return nll(logits, task.val.labels).mean(1)

        return net.heads(train(task, net, c, by_autograd(loss), score))


def energy(logits: Tensor) -> Tensor:
    """Return the normalised energy 1 / (1 + Σ exp a) [...] of logits [..., C]; low for confident answers."""
    return torch.sigmoid(-logits.logsumexp(-1))


def exit_weights(beta: float, exits: int) -> Tensor:
    """Return the weights [E+1, E] at the E heads of a sample that leaves at each exit, the frozen last one included."""
    places = torch.arange(exits + 1, dtype=torch.float64)
    return torch.softmax(-beta * (places[:, None] - places).abs(), -1)[:, :exits]


def overlap(signal: Tensor, right: Tensor, gap: float) -> Tensor:
    """Return the mean over exits of max(0, mean signal if right - mean if wrong + gap), from [E, B] and bool [E, B].

    Exits that are right on all samples, or on none, add nothing and do not count.
    """
    count, total = right.sum(1), right.shape[1]
    means = [(signal * who).sum(1) / who.sum(1).clamp_min(1) for who in (right, ~right)]
    mixed = (count > 0) & (count < total)
    return ((means[0] - means[1] + gap).clamp_min(0) * mixed).sum() / mixed.sum().clamp_min(1)
