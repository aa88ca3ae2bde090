"""Linear heads of many operating points as one batched tensor program: weights [P, D, C] per exit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.heads.plain import LinearHeads, fold, standardiser
from bench.method import ExitData

HeadLoss = Callable[[Tensor, Tensor], Tensor]  # (logits [P, B, G, C], labels [B]) -> scalar


class FusedHeads:
    """P copies of linear heads, trained together on standardised features with SGD; `split` gives them back."""

    def __init__(self, base: LinearHeads, train: ExitData, points: int, *, lr: float, seed: int) -> None:
        self.labels = train.labels
        self.scale = [standardiser(x) for x in train.features]
        self.features = [(x - mean) / std for x, (mean, std) in zip(train.features, self.scale, strict=True)]
        unfolded = [self._unfold(layer, *s) for layer, s in zip(base.layers, self.scale, strict=True)]
        self.weights = [w.expand(points, -1, -1).clone().requires_grad_() for w, _ in unfolded]
        self.biases = [b.expand(points, 1, -1).clone().requires_grad_() for _, b in unfolded]
        self.optimiser = torch.optim.SGD([*self.weights, *self.biases], lr=lr, momentum=0.9, weight_decay=5e-4)
        self.generator = torch.Generator(device=train.labels.device).manual_seed(seed)

    @staticmethod
    def _unfold(layer: nn.Module, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(layer, nn.Linear)
        weight, bias = layer.weight.detach(), layer.bias.detach()
        return (weight * std).T, bias + weight @ mean

    def train(self, loss: HeadLoss, *, batches: int, batch_size: int) -> None:
        """Take SGD steps on loss(logits of all points, labels), drawing batches without replacement within an epoch."""
        drawn: Iterator[Tensor] = iter(())
        for _ in range(batches):
            rows = next(drawn, None)
            if rows is None:
                order = torch.randperm(len(self.labels), generator=self.generator, device=self.labels.device)
                drawn = iter(order.split(batch_size))
                rows = next(drawn)
            value = loss(self._logits(rows), self.labels[rows])
            self.optimiser.zero_grad(set_to_none=True)
            value.backward()
            self.optimiser.step()

    def _logits(self, rows: Tensor) -> Tensor:
        points = len(self.weights[0])
        parts = [
            torch.baddbmm(b, x[rows].expand(points, -1, -1), w)
            for x, w, b in zip(self.features, self.weights, self.biases, strict=True)
        ]
        return torch.stack(parts, 2)

    def split(self) -> list[LinearHeads]:
        """Return the heads of each operating point, standardisation folded in."""
        return [
            LinearHeads(
                [
                    fold(w[p].detach(), b[p, 0].detach(), *s)
                    for w, b, s in zip(self.weights, self.biases, self.scale, strict=True)
                ]
            )
            for p in range(len(self.weights[0]))
        ]
