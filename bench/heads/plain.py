"""Plain heads: one linear classifier per intermediate exit, trained with summed cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.costs import linear_macs
from bench.heads.recipe import Heads, Recipe
from bench.method import ExitData, Task


class LinearHeads(Heads):
    """Linear(D_k → C) at every intermediate exit; the input's standardisation is folded into weight and bias."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.sizes = [(layer.in_features, layer.out_features) for layer in layers]

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.layers[k](features) if k < len(self.layers) else features

    def macs(self, k: int) -> int:
        if k >= len(self.sizes):
            return 0
        inputs, classes = self.sizes[k]
        return linear_macs(inputs, classes)


@dataclass(frozen=True)
class PlainConfig:
    """Schedule of the plain heads."""

    epochs: int = 40
    batch_size: int = 256
    lr: float = 0.01
    weight_decay: float = 1e-4


class Plain(Recipe):
    """Linear heads with summed cross-entropy (SDN, DeeBERT stage 2); each keeps its epoch of lowest val NLL.

    The backbone is frozen, so the heads do not influence each other and the sum trains each by itself. Inputs are
    standardised with the train split's statistics; AdamW, cosine decay to zero, a fresh batch order per epoch.
    """

    name: ClassVar[str] = "plain"
    Config: ClassVar[type] = PlainConfig

    def fit(self, task: Task) -> LinearHeads:
        """Train one head per intermediate exit on task.train; select its epoch on task.val."""
        c = self.config
        generator = torch.Generator(device=task.device).manual_seed(task.seed)
        scale = [standardiser(x) for x in task.train.features]
        train = [(x - mean) / std for x, (mean, std) in zip(task.train.features, scale, strict=True)]
        val = [(x - mean) / std for x, (mean, std) in zip(task.val.features, scale, strict=True)]
        weights = [_init(x.shape[1], task.num_classes, generator) for x in train]
        biases = [x.new_zeros(task.num_classes).requires_grad_() for x in train]
        best = [(float("inf"), w.detach().clone(), b.detach().clone()) for w, b in zip(weights, biases, strict=True)]
        if not train:
            return LinearHeads([])
        optimiser = torch.optim.AdamW([*weights, *biases], lr=c.lr, weight_decay=c.weight_decay)
        steps = c.epochs * -(-len(task.train) // c.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
        for _ in range(c.epochs):
            order = torch.randperm(len(task.train), generator=generator, device=task.device)
            for rows in order.split(c.batch_size):
                labels = task.train.labels[rows]
                losses = [
                    nn.functional.cross_entropy(torch.addmm(b, x[rows], w), labels)
                    for x, w, b in zip(train, weights, biases, strict=True)
                ]
                optimiser.zero_grad(set_to_none=True)
                torch.stack(losses).sum().backward()
                optimiser.step()
                schedule.step()
            best = [_better(b, w, v, x, task.val) for b, w, v, x in zip(best, weights, biases, val, strict=True)]
        return LinearHeads([fold(w, b, *s) for (_, w, b), s in zip(best, scale, strict=True)])


def standardiser(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [D] of features [N, D]; a constant feature keeps the scale 1."""
    std, mean = torch.std_mean(features, dim=0, correction=0)
    return mean, torch.where(std > 1e-6, std, torch.ones_like(std))


def _init(inputs: int, classes: int, generator: torch.Generator) -> Tensor:
    weight = torch.randn(inputs, classes, generator=generator, device=generator.device) * 0.01
    return weight.requires_grad_()


@torch.no_grad()
def _better(best: tuple[float, Tensor, Tensor], weight: Tensor, bias: Tensor, features: Tensor, val: ExitData) -> tuple:
    loss = float(nn.functional.cross_entropy(torch.addmm(bias, features, weight), val.labels))
    return (loss, weight.detach().clone(), bias.detach().clone()) if loss < best[0] else best


def fold(weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor) -> nn.Linear:
    """Turn weight [D, C] and bias [C] on standardised inputs into a linear layer on raw ones."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], device=weight.device)
    with torch.no_grad():
        layer.weight.copy_((weight / std[:, None]).T)
        layer.bias.copy_(bias - (mean / std) @ weight)
    return layer.requires_grad_(False)
