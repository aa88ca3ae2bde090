"""Boosted heads: every exit corrects the errors that remain in the sum of the earlier ones (BoostNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.heads.layers import LayerHeads, Net
from bench.heads.training import TrainingConfig, nll, nll_gradient, start, together, train
from bench.method import Task
from bench.plugins.params import tunable
from bench.recipe import Recipe

Final = Literal["added", "alone"]


@dataclass(frozen=True)
class BoostedConfig(TrainingConfig):
    """How much of the running sum an exit keeps, and whether the frozen final head is added to it too."""

    rho: float = tunable(0.5, 0.0, 1.0)
    final: Final = "added"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rho <= 1:
            raise ValueError("rho, the share of the running sum that an exit keeps, must be between 0 and 1.")


class BoostedHeads(LayerHeads):
    """Layers whose answers are the running sums F_k = a_k + ρ F_{k-1} of their logits."""

    needs_previous = True

    def __init__(self, layers: Sequence[nn.Module], rho: float, final: Final, classes: int) -> None:
        super().__init__(layers)
        self.rho, self.final, self.classes = rho, final, classes

    def combine(self, k: int, logits: Tensor) -> Tensor:
        if k == len(self.layers) and self.final == "alone":
            return logits[:, k]
        total = logits[:, 0]
        for a in logits.unbind(1)[1:]:
            total = torch.add(a, total, alpha=self.rho)
        return total

    def macs(self, k: int) -> int:
        """Count the head, and C for ρ·F_{k-1} + a_k: exits run in order, so the sum is known."""
        mixes = 0 < k < len(self.layers) or (k > 0 and self.final == "added")
        return super().macs(k) + (self.classes if mixes else 0)


class Boosted(Recipe):
    """BoostNet (Yu et al., AAAI 2023): each head is trained to correct the detached running sum of those before it.

    F_k = a_k + ρ F_{k-1}, loss Σ_k CE(a_k + sg[ρ F_{k-1}], y), and exit k answers F_k. The final head stays frozen and
    is added in the same way, unless final=alone. Heads depend on each other, so all keep the one epoch with the lowest
    mean val NLL of F. Differences: no gradient rescaling, which a frozen trunk does not need, and no equalisation of
    the exits' losses, which on a frozen trunk changes AdamW only through its epsilon; ρ is the same at all exits, where
    the original's two recursions (training scales after adding, testing before) agree.
    """

    name: ClassVar[str] = "boosted"
    Config: ClassVar[type] = BoostedConfig

    def fit(self, task: Task) -> BoostedHeads:
        """Train all heads on task.train together; select their common epoch on task.val."""
        c = self.config
        if not task.train.features:
            return BoostedHeads([], c.rho, c.final, task.num_classes)
        net = Net(task.train, task.num_classes, c.width, start(task))
        before = earlier(net.exits, c.rho).to(task.device)

        def gradient(logits: Tensor, rows: Tensor) -> Tensor:
            return nll_gradient(logits + mixed(before, logits), task.train.labels[rows])

        def score(logits: Tensor) -> Tensor:
            return together(nll(logits + mixed(before, logits), task.val.labels).mean(1))

        layers = net.layers(train(task, net, c, gradient, score))
        return BoostedHeads(layers, c.rho, c.final, task.num_classes)


def earlier(exits: int, rho: float) -> Tensor:
    """Return the weights [E, E] of a_j in ρ F_{k-1}: ρ^(k-j) for j < k, else 0."""
    steps = torch.arange(exits)
    distance = (steps[:, None] - steps).clamp_min(0)
    return torch.where(distance > 0, torch.tensor(float(rho)).pow(distance), torch.zeros(()))


def mixed(weights: Tensor, logits: Tensor) -> Tensor:
    """Return Σ_j weights[k, j]·logits[j], [E, B, C], for every exit k."""
    return (weights @ logits.flatten(1)).view_as(logits)
