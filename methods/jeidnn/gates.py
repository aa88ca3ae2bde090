"""JEI-DNN's gates: per intermediate exit one linear unit on four uncertainty features, for one or many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.exits import cumulative_distribution, exit_distribution, uncertainty_features
from bench.recipe import Heads
from bench.rules import HeadsPolicy
from bench.rules.mixing import coin

Reading = Literal["cumulative", "clipped", "single"]
OPEN = 100.0  # the logit of a gate that lets all samples leave: its value is exactly 1


class Gates(nn.Module):
    """Gates with weight [P, G, 4] and bias [P, G] for P operating points, or [G, 4] and [G] for one.

    `reading` defines what a gate's value means: `cumulative`, that the best exit is at or before it; `clipped`, the
    marginal probability of leaving there, clipped so that the sum stays at most 1 (the original); `single`, the same
    without that clip (`single_distribution`).
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

    def opened(self, points: Tensor) -> Gates:
        """Return these gates, all of them always open at the operating points of a mask [P]."""
        which = points.to(self.bias.device)
        weight = self.weight.masked_fill(which[:, None, None], 0.0)
        return Gates(weight, self.bias.masked_fill(which[:, None], OPEN), self.reading)

    def values(self, features: Tensor, first: int = 0) -> Tensor:
        """Return the gate values g [..., N, g] of features [..., N, g, 4] of the exits first … first+g-1.

        With P operating points, features may be shared ([N, g, 4]) or per point ([P, N, g, 4]).
        """
        seen = slice(first, first + features.shape[-2])
        z = torch.einsum("...ngf,...gf->...ng", features, self.weight[..., seen, :]) + self.bias[..., None, seen]
        return torch.sigmoid(z)

    def marginal(self, features: Tensor) -> Tensor:
        """Return the probability [..., N, g] of leaving at each exit; the rest is the last exit's."""
        return self._distribution(self.values(features))[0]

    def leave(self, features: Tensor, coins: Tensor | None = None, first: int = 0) -> Tensor:
        """Return where a sample that has reached these exits would leave, bool [..., N, g], from exits `first` on.

        Without coins, at even odds; with coins [..., N] in [0, 1), with the probabilities of `marginal`: where their
        running sum first exceeds the coin. `first` may be more than 0 only if `needs_earlier` is false.
        """
        g = self.values(features, first)
        if self.reading == "cumulative":
            return g >= 0.5 if coins is None else g > coins[..., None]
        marginal, conditional = self._distribution(g)
        return conditional >= 0.5 if coins is None else marginal.cumsum(-1) > coins[..., None]

    @property
    def needs_earlier(self) -> bool:
        """Whether leaving at an exit depends on the gates before it."""
        return self.reading != "cumulative"

    def _distribution(self, g: Tensor) -> tuple[Tensor, Tensor]:
        models = {"cumulative": cumulative_distribution, "clipped": exit_distribution, "single": single_distribution}
        return models[self.reading](g)


class GatedPolicy(HeadsPolicy):
    """Heads with JEI-DNN's gates at one λ; with a `draw`, the seed of each sample's coin, samples leave at random."""

    def __init__(self, heads: Heads, gates: Gates, classes: int, draw: int | None = None) -> None:
        super().__init__(heads, gates.weight.shape[-2] + 1)
        self.gates, self.classes, self.draw = gates, classes, draw
        self._last: list[tuple[Tensor, Tensor]] = []  # answers and features per exit, between two calls of one batch

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": []}

    def leave(self, k: int, logits: Tensor) -> Tensor:
        drawn = coins(logits, self.draw)
        if not self.gates.needs_earlier:
            return self.gates.leave(uncertainty_features(logits[:, k:]), drawn, first=k)[:, 0]
        return self.gates.leave(self._features(logits), drawn)[:, k]

    def _features(self, logits: Tensor) -> Tensor:
        """Describe the answers of all exits, reusing the features of those that the last call has described."""
        described = []
        for i, x in enumerate(logits.unbind(1)):
            known = i < len(self._last) and _same(self._last[i][0], x)
            described.append(self._last[i] if known else (x.clone(), uncertainty_features(x)))
        self._last = described if len(described) < self.exits - 1 else []
        return torch.stack([features for _, features in described], 1)

    def gate_macs(self, k: int) -> int:
        return gate_macs(self.classes, coin=self.draw is not None and k == 0)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)


def gate_macs(classes: int, *, coin: bool = False) -> int:
    """Count one gate, 9C + 6: the four features of C probabilities and the linear unit, as in the original's count.

    If a coin is drawn for each sample too, that adds C.
    """
    return 9 * classes + 6 + (classes if coin else 0)


def coins(logits: Tensor, draw: int | None) -> Tensor | None:
    """Return every sample's coin [N] from the answers [N, g, C] of exits 0 …, None if nothing is drawn."""
    return None if draw is None else coin(logits[:, 0], draw)


def single_distribution(g: Tensor) -> tuple[Tensor, Tensor]:
    """Turn gate values g [..., G] into exit probabilities without the clipped marginals of `exit_distribution`.

    Returns (marginal, conditional), both [..., G]: a_l = g_l / Π_{i<l} (1 - a_i), clipped to [0, 1], 1 if no sample can
    have reached it, and P_l = a_l·Π_{i<l} (1 - a_i). Source: the released code's mode `single`. In exact arithmetic
    both are those of `exit_distribution`: the clip of a_l removes here what the clip of the marginal removes there.
    """
    survivors, conditional, marginal = torch.ones_like(g[..., :1]), [g[..., :0]], [g[..., :0]]
    for x in g.split(1, -1):
        a = torch.where(survivors > 0, x / survivors.clamp_min(torch.finfo(g.dtype).tiny), 1.0).clamp(0, 1)
        conditional.append(a)
        marginal.append(a * survivors)
        survivors = survivors * (1 - a)
    return torch.cat(marginal, -1), torch.cat(conditional, -1)
