"""JEI-DNN's gates: per intermediate exit one linear unit on four uncertainty features, for one or many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from bench.exits import cumulative_distribution, exit_distribution

Reading = Literal["cumulative", "clipped"]


class Gates(nn.Module):
    """Gates with weight [P, G, 4] and bias [P, G] for P operating points, or [G, 4] and [G] for one.

    `reading` says what a gate's value stands for: `cumulative`, that the best exit is at or before it; `clipped`, the
    marginal probability of leaving there, clipped so that the sum stays at most 1 (the original).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, reading: Reading) -> None:
        super().__init__()
        self.reading = reading
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def __len__(self) -> int:
        return len(self.weight)

    def at(self, point: int) -> Gates:
        """Return the gates of one operating point."""
        return Gates(self.weight[point], self.bias[point], self.reading)

    def split(self, size: int = 1) -> list[Gates]:
        """Return the operating points in groups of `size`."""
        return [Gates(w, b, self.reading) for w, b in zip(self.weight.split(size), self.bias.split(size), strict=True)]

    @staticmethod
    def cat(parts: Sequence[Gates]) -> Gates:
        """Join the operating points of several gates."""
        return Gates(torch.cat([g.weight for g in parts]), torch.cat([g.bias for g in parts]), parts[0].reading)

    def values(self, features: Tensor) -> Tensor:
        """Return the gate values g [..., N, g] of features [..., N, g, 4] of the g <= G exits seen so far.

        With P operating points, features may be shared ([N, g, 4]) or per point ([P, N, g, 4]).
        """
        seen = features.shape[-2]
        z = torch.einsum("...ngf,...gf->...ng", features, self.weight[..., :seen, :]) + self.bias[..., None, :seen]
        return torch.sigmoid(z)

    def marginal(self, features: Tensor) -> Tensor:
        """Return the probability [..., N, g] of leaving at each exit; the rest is the last exit's."""
        model = cumulative_distribution if self.reading == "cumulative" else exit_distribution
        return model(self.values(features))[0]

    def leave(self, features: Tensor) -> Tensor:
        """Say where a sample that has come that far would leave, bool [..., N, g]."""
        g = self.values(features)
        return g >= 0.5 if self.reading == "cumulative" else exit_distribution(g)[1] >= 0.5
