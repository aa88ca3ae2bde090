"""Zero Time Waste heads: a cascade in which each head sees the previous logits, and an ensemble at each exit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.heads.adamw import AdamW
from bench.heads.boosted import mixed
from bench.heads.layers import LayerHeads, Net
from bench.heads.training import TrainingConfig, descend, nll, nll_gradient, start, together, train
from bench.method import ExitData, Task
from bench.recipe import Recipe


@dataclass(frozen=True)
class ZTWConfig(TrainingConfig):
    """The schedules of the cascade and of the ensembles, and how an ensemble's weights are kept positive."""

    ensemble_steps: int = 1000
    ensemble_lr: float = 0.01
    weights: Literal["exp", "softplus"] = "exp"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ensemble_steps < 0 or self.ensemble_lr <= 0:
            raise ValueError("ensemble_steps cannot be negative and ensemble_lr must be positive.")


class ZTWHeads(LayerHeads):
    """Layers on [features ; LayerNorm(logits of the previous exit)], whose answers are geometric ensembles q_k."""

    needs_previous = True
    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[nn.Module], weight: Tensor, bias: Tensor) -> None:
        super().__init__(layers)
        self.register_buffer("weight", weight)  # [E, E]: that of exit j's log-probabilities in q_k
        self.register_buffer("bias", bias)  # [E, C]

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        if k == len(self.layers):
            return features
        return self.layers[k](torch.cat([features, normalised(previous[-1])], -1) if k else features)

    def combine(self, k: int, logits: Tensor) -> Tensor:
        if k == len(self.layers):
            return logits[:, k]
        total = self.bias[k].expand_as(logits[:, 0])
        for a, w in zip(logits.unbind(1), self.weight[k, : k + 1], strict=True):
            total = torch.addcmul(total, a, w)
        return total

    def macs(self, k: int) -> int:
        """Count the head with its C additional inputs, 2C for their normalisation, and (k+1)·C for the ensemble."""
        if k == len(self.layers):
            return 0
        classes = self.bias.shape[1]
        return super().macs(k) + (2 * classes if k else 0) + (k + 1) * classes


class Cascade(Net):
    """The heads in training when each but the first also sees the normalised, detached logits of the previous one."""

    def __init__(self, train: ExitData, classes: int, width: int, generator: torch.Generator) -> None:
        super().__init__(train, classes, width, generator)
        self.add(self.normal(self.exits - 1, classes, width or classes, scale=0.01), range(1, self.exits), classes)

    def __call__(self, inputs: Sequence[Tensor], parameters: Sequence[Tensor] | None = None) -> Tensor:
        values = self.parameters if parameters is None else parameters
        return self._cascade(self.first(inputs, values), values)[2]

    def _cascade(self, first: Tensor, values: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the previous logits as heads after the first see them [E-1, B, C], hidden values [E, B, H], logits."""
        seen, hidden, logits = [], [first[0]], [self.last(first[:1], values, slice(1))[0]]
        for k in range(1, self.exits):
            seen.append(normalised(logits[-1].detach()))
            hidden.append(torch.addmm(first[k], seen[-1], values[-1][k - 1]))
            logits.append(self.last(hidden[-1][None], values, slice(k, k + 1))[0])
        more = torch.stack(seen) if seen else first.new_empty(0, *logits[0].shape)
        return more, torch.stack(hidden), torch.stack(logits)

    @torch.no_grad()
    def differentiate(self, inputs: Sequence[Tensor], gradient: Callable[[Tensor], Tensor]) -> None:
        seen, hidden, logits = self._cascade(self.first(inputs, self.parameters), self.parameters)
        self.parameters[-1].grad = seen.mT.bmm(self.backward(inputs, hidden, gradient(logits))[1:])

    def first_layer(self, k: int, values: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight, bias, mean, std = super().first_layer(k, values)
        if not k:
            return weight, bias, mean, std
        more = values[-1][k - 1]
        zeros, ones = mean.new_zeros(len(more)), std.new_ones(len(more))
        return torch.cat([weight, more]), bias, torch.cat([mean, zeros]), torch.cat([std, ones])


class ZTW(Recipe):
    """Zero Time Waste (Wołczyk et al., NeurIPS 2021): cascaded heads, and an ensemble of all so far at each exit.

    Head k sees [features_k ; LayerNorm(sg[a_{k-1}])]; exit k answers log q_k = 1/k Σ_{j<=k} exp(w_kj) log p_j + b_k, up
    to a constant per sample, so the log p_j may be the logits themselves. Ensembles are trained after the heads, on the
    same train split (CE of q_k), and the backbone's own head is not changed. LayerNorm has no gain of its own, because
    the layer after it has one. All heads keep the epoch with the lowest mean val NLL, each ensemble its own best, or
    its start.

    Differences: the originals train 15 and 2 epochs without selection (AdamW, 5e-3 and 1e-3); this recipe uses the
    schedule that all recipes share for the heads. Ensembles take at least `ensemble_steps` steps (whole epochs),
    however small the train split is: a step moves a weight by about its rate, so after a few epochs of our small splits
    weak early heads would still count (the release takes some 40,000 steps). More steps did not help on val.
    """

    name: ClassVar[str] = "ztw"
    version: ClassVar[int] = 2
    Config: ClassVar[type] = ZTWConfig

    def fit(self, task: Task) -> ZTWHeads:
        """Train the cascade on task.train, then the ensembles; select epochs on task.val."""
        c, classes = self.config, task.num_classes
        if not task.train.features:
            return ZTWHeads([], torch.zeros(0, 0), torch.zeros(0, classes))
        net = Cascade(task.train, classes, c.width, start(task))

        def gradient(logits: Tensor, rows: Tensor) -> Tensor:
            return nll_gradient(logits, task.train.labels[rows])

        def score(logits: Tensor) -> Tensor:
            return together(nll(logits, task.val.labels).mean(1))

        values = train(task, net, c, gradient, score)
        with torch.no_grad():
            seen, val = (net(net.inputs(data), values) for data in (task.train, task.val))
        weight, bias = self._ensembles(task, seen, val, net.generator)
        return ZTWHeads(net.layers(values), weight, bias)

    def _ensembles(self, task: Task, seen: Tensor, val: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return weight [E, E] and bias [E, C] from the heads' logits [E, N, C] of both splits."""
        c, exits = self.config, len(seen)
        raw = torch.randn(exits, exits, generator=generator, device=generator.device).mul(0.01).requires_grad_()
        bias = raw.new_zeros(exits, 1, task.num_classes).requires_grad_()
        every = torch.arange(exits, device=generator.device)

        def answers(logits: Tensor) -> Tensor:
            return mixed(self._weight(raw), logits) + bias

        def score() -> Tensor:
            return nll(answers(val), task.val.labels).mean(1)

        with torch.no_grad():
            untrained = score()

        def differentiate(rows: Tensor) -> None:
            made = answers(seen.index_select(1, rows))
            gradient = nll_gradient(made.detach(), task.train.labels[rows])
            raw.grad, bias.grad = torch.autograd.grad(made, [raw, bias], gradient)

        kept, kept_bias = descend(
            AdamW([(c.ensemble_lr, [raw, bias])], c.weight_decay),
            [raw, bias],
            [every, every],
            differentiate,
            score,
            samples=len(task.train),
            epochs=-(-c.ensemble_steps // -(-len(task.train) // c.batch_size)),
            batch_size=c.batch_size,
            generator=generator,
            beat=untrained,
        )
        return self._weight(kept), kept_bias[:, 0]

    def _weight(self, raw: Tensor) -> Tensor:
        positive = raw.exp() if self.config.weights == "exp" else nn.functional.softplus(raw)
        return positive.tril() / torch.arange(1, len(raw) + 1, device=raw.device)[:, None]


def normalised(logits: Tensor) -> Tensor:
    """Return logits [N, C] with mean 0 and variance 1 over classes (LayerNorm without gain)."""
    return nn.functional.layer_norm(logits, logits.shape[-1:])
