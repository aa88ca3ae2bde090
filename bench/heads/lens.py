"""Lens heads: a least-squares map from an exit's features to the last ones, then the frozen head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.heads.layers import CHUNK, LinearHeads, fold, scales
from bench.method import ExitData, Task
from bench.plugins.params import tunable
from bench.recipe import Recipe


@dataclass(frozen=True)
class LensConfig:
    """The ridge penalty of the map, on standardised features."""

    ridge: float = tunable(1e-2, 1e-5, 10.0, log=True)

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise ValueError(f"ridge={self.ridge:g} leaves collinear features without a solution; give more than 0")


class Lens(Recipe):
    """A linear shortcut to the last layer, then the frozen head (Din et al., Jump to Conclusions, 2023; tuned lens).

    The map A from an exit's features z_k to the last features z minimises ‖A z_k + a - z‖² on train, with a ridge
    penalty on standardised z_k; the exit answers W (A z_k + a) + b with the frozen head W, b. Least squares fits every
    output independently, so this equals the least-squares map from z_k to the frozen head's logits W z + b, which is
    solved here: one linear head per exit, D_k·C MACs, no labels and no gradient steps.

    Source: Din et al., https://arxiv.org/abs/2303.09435 (least squares); Belrose et al., tuned lens,
    https://arxiv.org/abs/2303.08112, minimise the KL divergence to the last answer instead, which on frozen features is
    the recipe `distilled`.
    """

    name: ClassVar[str] = "lens"
    Config: ClassVar[type] = LensConfig

    def fit(self, task: Task) -> LinearHeads:
        """Solve one least-squares problem per intermediate exit on task.train; task.val is not used."""
        data = task.train
        if not data.features:
            return LinearHeads([])
        last = len(data.features)
        target = torch.cat([data.batch(last, rows).double() for rows in _parts(data)])
        return LinearHeads([self._solve(data, k, *scale, target) for k, scale in enumerate(scales(data))])

    def _solve(self, data: ExitData, k: int, mean: Tensor, std: Tensor, target: Tensor) -> nn.Linear:
        n, width = len(data), len(mean)
        gram = torch.zeros(width, width, dtype=torch.float64, device=mean.device)
        right = gram.new_zeros(width, target.shape[1])
        centre = target.mean(0)
        for rows in _parts(data):
            x = (data.batch(k, rows) - mean).double() / std.double()
            gram += x.T @ x / n
            right += x.T @ (target[rows] - centre) / n
        gram.diagonal().add_(self.config.ridge)
        weight = torch.cholesky_solve(right, torch.linalg.cholesky(gram))
        return fold(weight.to(mean), centre.to(mean), mean, std)


def _parts(data: ExitData) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, len(data), CHUNK)]
