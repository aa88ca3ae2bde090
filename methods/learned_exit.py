"""A small learned gate per exit that predicts whether continuing helps: the plain learned-exit baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import heads
from bench.exits import by_rows, right_later, uncertainty_features
from bench.heads.adamw import AdamW
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, one_threshold
from bench.rules.states import DIGITS


@dataclass(frozen=True)
class LearnedExitConfig:
    """The heads, what the gates learn, their width, and how they are trained."""

    heads: str = "plain"
    target: Literal["last", "any_later"] = tunable("last")
    hidden: int = tunable(16, 4, 64, log=True)
    epochs: int = 30
    batch_size: int = 256
    lr: float = tunable(0.02, 0.002, 0.2, log=True)
    weight_decay: float = tunable(1e-2, 1e-4, 1.0, log=True)
    folds: int = 5

    def __post_init__(self) -> None:
        for field, least in (("hidden", 1), ("epochs", 1), ("batch_size", 1), ("folds", 2)):
            if getattr(self, field) < least:
                raise ValueError(f"{field}={getattr(self, field)} is too few; give {least} or more")
        if self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(f"lr={self.lr:g} must be positive, and weight_decay={self.weight_decay:g} not negative")


class MLPScore(Score):
    """Minus the log-odds that a gate gives to continuing: one hidden layer of rectified units on four features."""

    weight: Tensor
    bias: Tensor
    out_weight: Tensor
    out_bias: Tensor

    def __init__(self, layers: Sequence[Tensor]) -> None:
        """Take weight [G, 4, H] and bias [G, 1, H] of the hidden layer, then [G, H, 1] and [G, 1, 1] of the output."""
        super().__init__()
        for name, value in zip(("weight", "bias", "out_weight", "out_bias"), layers, strict=True):
            self.register_buffer(name, value.double())

    def forward(self, k: int, logits: Tensor) -> Tensor:
        layers = [layer[k] for layer in (self.weight, self.bias, self.out_weight, self.out_bias)]
        return -network(uncertainty_features(logits[:, k].double()), layers).round(decimals=DIGITS)

    def macs(self, k: int, classes: int) -> int:
        inputs, hidden = self.weight.shape[1:]
        return 9 * classes + (inputs + 1) * hidden  # 9C: the features, as `bench.methods.jeidnn` counts them


class LearnedExit(Method):
    """A small MLP gate per exit predicts whether continuing helps; leave if it does not: the learned-exit baseline.

    Gate k sees the four uncertainty features of exit k's own answer (`bench.exits.uncertainty_features`: p_max,
    entropy, margin, entropy of squares) through one layer of `hidden` rectified units. Its target is h_k = 1[exit k
    wrong and the last exit right] (`target=any_later`: … and some later exit right), its loss binary cross-entropy. A
    sample leaves where the predicted log-odds of h_k are at most -t, with the largest t whose val cost fits a budget.

    Gates learn from val, because heads fit their own training samples too well to be uncertain there. To keep gates
    from fitting val's noise, which would shift thresholds taken from val, cross-validation stops each gate early:
    `folds` gates on all but one fold and one gate on all of val are trained in parallel, and the latter is kept from
    the epoch with the lowest loss of the others on unseen samples. All gates train as one batch (AdamW, cosine decay).
    """

    name: ClassVar[str] = "learned_exit"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Learned exit: a small gate per exit that predicts whether continuing helps",
        authors="the authors of exitbench",
        venue="this benchmark",
        year=2026,
        link="",
        family="learned",
        basis="our own",
        detail="it stands for the learned exits of the literature, which differ in features and targets",
    )
    Config: ClassVar[type] = LearnedExitConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Train the gates of all exits on val, then find the threshold for every budget."""
        fitted = heads.fit(self.config.heads, task)
        logits = fitted.logits(task.val)
        features = by_rows(lambda part: uncertainty_features(part.double()), logits[:, :-1])
        target = helps(logits.argmax(-1) == task.val.labels[:, None], self.config.target)
        score = MLPScore(self._train(features, target.double(), task.seed))
        return one_threshold(task, budgets, fitted, score)

    def _train(self, features: Tensor, target: Tensor, seed: int) -> list[Tensor]:
        """Return the layers of the gates for features [N, G, 4] and targets [N, G] in {0, 1}."""
        c, (n, gates, inputs) = self.config, features.shape
        generator = torch.Generator().manual_seed(seed)
        folds = min(c.folds, n)
        fold = torch.randperm(n, generator=generator) % folds
        held = torch.cat([torch.arange(folds)[:, None] == fold, torch.zeros(1, n, dtype=torch.bool)])
        held = held[:, None].to(features.device)  # [R, 1, N]: what each of the R = folds + 1 trainings does not see
        mean = features.mean(0)
        std = (features - mean).square().mean(0).sqrt()
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        x, y = ((features - mean) / std).transpose(0, 1).float(), target.T.float()
        start = (torch.randn(gates, inputs, c.hidden, generator=generator) / inputs**0.5).to(x)
        base = y.mean(1).clamp(0.5 / n, 1 - 0.5 / n).logit()[:, None, None]
        layers = [start, x.new_zeros(gates, 1, c.hidden), x.new_zeros(gates, c.hidden, 1), base]
        layers = [p.expand(folds + 1, *p.shape).clone().requires_grad_() for p in layers]
        best, least = [p[-1].detach() for p in layers], x.new_full((gates,), torch.inf)
        steps = c.epochs * -(-n // c.batch_size)
        optimiser = AdamW([(c.lr, layers)], c.weight_decay, fused=False, steps=steps)
        for epoch in range(c.epochs + 1):
            with torch.no_grad():
                unseen = (losses(x, y, layers) * held).sum((0, 2))
            better = (unseen < least)[:, None, None]
            best = [torch.where(better, p[-1].detach(), b) for p, b in zip(layers, best, strict=True)]
            least = torch.minimum(unseen, least)
            for rows in torch.randperm(n, generator=generator).split(c.batch_size) if epoch < c.epochs else ():
                seen = ~held[..., rows]
                loss = (losses(x[:, rows], y[:, rows], layers) * seen).sum(-1) / seen.sum(-1).clamp_min(1)
                optimiser.step(loss.sum())
        weight = best[0].double() / std[..., None]
        return [weight, best[1].double() - mean[:, None] @ weight, *best[2:]]


def network(x: Tensor, layers: Sequence[Tensor]) -> Tensor:
    """Return the output [..., N] of one hidden layer of rectified units on x [..., N, inputs]."""
    weight, bias, out_weight, out_bias = layers
    return ((x @ weight + bias).relu() @ out_weight + out_bias).squeeze(-1)


def losses(x: Tensor, y: Tensor, layers: Sequence[Tensor]) -> Tensor:
    """Return the binary cross-entropy [R, G, N] of R trainings' gates on x [G, N, inputs] for targets y [G, N]."""
    z = network(x, layers)
    return binary_cross_entropy_with_logits(z, y.expand_as(z), reduction="none")


def helps(correct: Tensor, target: str) -> Tensor:
    """Return h, bool [N, K-1], from bool correct [N, K]: wrong here, right at some later exit (or at the last)."""
    later = correct[:, -1:] if target == "last" else right_later(correct)
    return ~correct[:, :-1] & later
