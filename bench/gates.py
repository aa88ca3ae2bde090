"""JEI-DNN's gates: per intermediate exit one linear unit on four uncertainty features, for one or many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from bench.exits import cumulative_distribution, exit_distribution

Reading = Literal["cumulative", "clipped"]
Counting = Literal["none", "cumulative", "released"]


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


def gate_targets(losses: Tensor, costs: Tensor, lam: float | Tensor) -> Tensor:
    """Return the surrogate targets 1[l >= argmin_l (loss_l + lam·cost_l)] of the gates, [..., K-1], as losses' dtype.

    losses [..., K] per sample and exit, costs [K], lam a number or broadcastable to losses; ties go to the earliest
    exit. Source: Regol et al. 2024, the released code's surrogate.
    """
    best = (losses + lam * costs.to(losses.device)).argmin(-1, keepdim=True)
    gates = torch.arange(losses.shape[-1] - 1, device=losses.device)
    return (gates >= best).to(losses.dtype)


def positive_weight(targets: Tensor, counting: Counting) -> Tensor:
    """Return the weight [P, G] of positive targets, min((N - n_l) / max(n_l, 0.1), 5), from targets [P, N, G].

    n_l counts the samples told to leave at l or earlier (`cumulative`: the positives themselves) or exactly at l
    (`released`, as the released code counts); `none` weighs all alike.
    """
    if counting == "none":
        return torch.ones_like(targets[:, 0])
    positive = targets if counting == "cumulative" else targets.diff(dim=-1, prepend=torch.zeros_like(targets[..., :1]))
    hits = positive.sum(1)
    return ((targets.shape[1] - hits) / hits.clamp_min(0.1)).clamp_max(5)
