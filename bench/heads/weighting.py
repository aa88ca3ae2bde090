"""The training of L2W heads: a net weights the samples at each exit and learns which of them will leave there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from bench.budgets import geometric_quotas
from bench.heads.adamw import AdamW
from bench.heads.layers import Net
from bench.heads.training import TrainingConfig, adamw, descend, nll, nll_gradient, take
from bench.method import Task
from bench.plugins.params import tunable

Centring = Literal["mat", "col"]


@dataclass(frozen=True)
class L2WConfig(TrainingConfig):
    """The range and centring of the weights, how samples are assigned to exits, what the net learns and how often."""

    eps: float = tunable(0.3, 0.0, 1.0)
    centring: Centring = "mat"
    ratio: float = tunable(0.75, 0.25, 2.0)
    objective: Literal["exits", "samples"] = tunable("exits")
    interval: int = 10
    meta_lr: float = tunable(1e-3, 1e-5, 1e-2, log=True)
    hidden: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eps < 0 or self.ratio <= 0 or self.meta_lr <= 0:
            raise ValueError("eps cannot be negative; ratio and meta_lr must be positive.")
        if self.interval < 1 or self.hidden < 1:
            raise ValueError("interval and hidden must be at least 1.")


class Weighting:
    """One training run of heads and of the net that weights their samples."""

    def __init__(self, task: Task, net: Net, config: L2WConfig) -> None:
        self.task, self.net, self.config = task, net, config
        self.train, self.val = net.inputs(task.train), net.inputs(task.val)
        self.quotas = geometric_quotas(config.ratio, task.num_exits)
        self.optimiser = adamw(net, config)
        self.weights = weight_net(net, config.hidden)
        batches = config.epochs * -(-len(task.train) // config.batch_size)
        steps = max(1, -(-batches // config.interval))
        self.meta = AdamW([(config.meta_lr, self.weights)], 1e-4, decoupled=False, steps=steps)
        self.batch = 0

    def run(self) -> list[Tensor]:
        """Train the heads and return their parameters."""
        c = self.config
        return descend(
            self.optimiser,
            self.net.parameters,
            self.net.exit_of,
            self._differentiate,
            lambda: nll(self.net(self.val), self.task.val.labels).mean(1),
            samples=len(self.task.train),
            epochs=c.epochs,
            batch_size=c.batch_size,
            generator=self.net.generator,
        )

    def _differentiate(self, rows: Tensor) -> None:
        if self.batch % self.config.interval == 0 and len(rows) > 1:
            self._learn(rows)
        self.batch += 1
        labels = self.task.train.labels[rows]
        self.net.differentiate(take(self.train, rows), lambda logits: nll_gradient(logits, labels, self._weigh))

    def _weigh(self, losses: Tensor) -> Tensor:
        return weigh(self.weights, losses.detach(), self.config.eps, self.config.centring)

    def _learn(self, rows: Tensor) -> None:
        """Step the weight net on the meta-gradient of both halves of a batch."""
        halves = rows.tensor_split(2)
        both = [self.meta_gradient(*halves), self.meta_gradient(*halves[::-1])]
        for p, first, second in zip(self.weights, *both, strict=True):
            p.grad = (first + second) / 2
        self.meta.step()

    def meta_gradient(self, rows: Tensor, others: Tensor) -> Sequence[Tensor]:
        """Return the gradient of the weight net: heads step on `rows` and are evaluated on `others`."""
        return torch.autograd.grad(self.meta_loss(rows, others), self.weights)

    def meta_loss(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return the differentiable loss of `others` where they leave, after a step of the heads on weighted `rows`."""
        losses = nll(self.net(take(self.train, rows)), self.task.train.labels[rows])
        weighted = (self._weigh(losses) * losses).mean(1).sum()
        gradients = torch.autograd.grad(weighted, self.net.parameters, create_graph=True)
        stepped = lookahead(self.optimiser, self.net.parameters, gradients)
        logits = self.net(take(self.train, others), stepped)
        data = self.task.train
        all_exits = torch.cat([logits, data.batch(data.num_exits - 1, others)[None].to(logits)])
        left = deal(all_exits.detach().softmax(-1).amax(-1), self.quotas)
        return where_left(nll(all_exits, data.labels[others]), left, self.config.objective)


def where_left(losses: Tensor, left: Tensor, objective: Literal["exits", "samples"]) -> Tensor:
    """Return the loss of samples at the exits `left` [B] that they were assigned to, from losses [K, B] at every exit.

    `exits`: the sum over exits of the mean over each exit's samples; `samples`: the mean over all samples.
    """
    own = losses.gather(0, left[None])[0]
    return own.mean() if objective == "samples" else (own / left.bincount()[left]).sum()


def weight_net(net: Net, hidden: int) -> list[Tensor]:
    """Return the leaves (weight, bias, weight, bias) of an MLP E → hidden → E, initialised as PyTorch does."""
    leaves = []
    for inputs, outputs in ((net.exits, hidden), (hidden, net.exits)):
        bound = inputs**-0.5
        for shape in ((inputs, outputs), (outputs,)):
            drawn = torch.rand(shape, generator=net.generator, device=net.generator.device)
            leaves.append(((2 * drawn - 1) * bound).requires_grad_())
    return leaves


def weigh(net: Sequence[Tensor], losses: Tensor, eps: float, centring: Centring) -> Tensor:
    """Return the weights [E, B] of losses [E, B]: 1 + eps·(w - mean w), mean over all or over a sample's exits."""
    first, first_bias, second, second_bias = net
    w = torch.tanh((losses.T @ first + first_bias).relu() @ second + second_bias).T
    return 1 + eps * (w - (w.mean() if centring == "mat" else w.mean(0, keepdim=True)))


def deal(confidence: Tensor, quotas: Tensor) -> Tensor:
    """Assign samples to exits [N], int64: exit k takes the ⌊N·q_k⌋ most confident ones that no earlier exit has taken.

    confidence [K, N], quotas [K]; the last exit takes the rest. Ties go to the sample that comes first.
    """
    exits, n = confidence.shape
    left = torch.full((n,), exits - 1, device=confidence.device)
    free = torch.ones(n, dtype=torch.bool, device=confidence.device)
    for k, count in enumerate((quotas[:-1] * n + 1e-9).floor().to(torch.int64).tolist()):
        order = confidence[k].masked_fill(~free, -torch.inf).argsort(descending=True, stable=True)
        taken = order[: min(count, int(free.sum()))]
        left[taken], free[taken] = k, False
    return left


def lookahead(optimiser: AdamW, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return the parameters after AdamW's next step, differentiable in the gradients with its rates held fixed.

    θ(1 - lr·decay) - rate·(β₁m + (1 - β₁)g): momentum SGD, whose rate for each coordinate is AdamW's for this gradient.
    """
    result = []
    groups = {p: group for group in optimiser.param_groups for p in group["params"]}
    for p, g in zip(parameters, gradients, strict=True):
        group = groups[p]
        lr, (beta, square) = group["lr"], group["betas"]
        state: dict[str, Any] = optimiser.state.get(p) or {
            "step": 0,
            "exp_avg": torch.zeros_like(p),
            "exp_avg_sq": torch.zeros_like(p),
        }
        t = int(state["step"]) + 1
        second = (square * state["exp_avg_sq"] + (1 - square) * g.detach().square()) / (1 - square**t)
        rate = lr / (1 - beta**t) / (second.sqrt() + group["eps"])
        result.append(p.detach() * (1 - lr * group["weight_decay"]) - rate * (beta * state["exp_avg"] + (1 - beta) * g))
    return result
