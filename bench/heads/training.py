"""The training that all recipes share: AdamW with cosine decay, a new batch order per epoch, the best epoch kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.heads.adamw import AdamW
from bench.heads.layers import Net
from bench.method import Task
from bench.plugins.params import tunable


@dataclass(frozen=True)
class TrainingConfig:
    """How heads are trained, and the hidden units of each (0: a linear head).

    A layer of D inputs learns at the rate min(lr, rate / D): what a step of AdamW adds to a logit grows with D.
    """

    epochs: int = 40
    batch_size: int = 256
    lr: float = tunable(0.03, 1e-3, 0.1, log=True)
    rate: float = tunable(1.0, 0.1, 10.0, log=True)
    weight_decay: float = tunable(1e-4, 1e-6, 0.1, log=True)
    width: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1:
            raise ValueError("epochs cannot be negative and batch_size must be at least 1.")
        if self.lr <= 0 or self.rate <= 0 or self.weight_decay < 0:
            raise ValueError("lr and rate must be positive and weight_decay cannot be negative.")
        if self.width < 0:
            raise ValueError("width, the number of hidden units, cannot be negative; 0 makes the heads linear.")


def adamw(net: Net, schedule: TrainingConfig) -> AdamW:
    """Return AdamW on a net's leaves, each with the rate of its layer."""
    groups: dict[float, list[Tensor]] = {}
    for p, inputs in zip(net.parameters, net.fan_in, strict=True):
        groups.setdefault(min(schedule.lr, schedule.rate / inputs), []).append(p)
    return AdamW(list(groups.items()), schedule.weight_decay)


def descend(
    optimiser: AdamW,
    parameters: Sequence[Tensor],
    exit_of: Sequence[Tensor],
    differentiate: Callable[[Tensor], None],
    score: Callable[[], Tensor],
    *,
    samples: int,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    beat: Tensor | None = None,
) -> list[Tensor]:
    """Minimise a loss over all samples; return each parameter as it was in its exit's best epoch.

    `differentiate(rows)` sets the parameters' gradients to those of a batch's loss.

    `score()` is the val loss of every exit [E], evaluated after each epoch; row j of parameter i belongs to exit
    exit_of[i][j] and is kept from the epoch in which that exit's score was lowest, or from the start if no epoch's
    score is below `beat` [E] (by default any finite one is).
    """
    optimiser.steps = epochs * -(-samples // batch_size)
    best = [p.detach().clone() for p in parameters]
    lowest = torch.full((), torch.inf, device=generator.device) if beat is None else beat
    for _ in range(epochs):
        for rows in torch.randperm(samples, generator=generator, device=generator.device).split(batch_size):
            differentiate(rows)
            optimiser.step()
        with torch.no_grad():
            now = score()
            better, lowest = now < lowest, torch.fmin(now, lowest)
            for kept, p, exits in zip(best, parameters, exit_of, strict=True):
                kept[better[exits]] = p[better[exits]]
    return best


def train(
    task: Task,
    net: Net,
    schedule: TrainingConfig,
    gradient: Callable[[Tensor, Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
) -> list[Tensor]:
    """Minimise a loss on train; return the parameters of each exit's best epoch on val.

    `gradient(logits [E, B, C], rows)` returns the loss's gradient in the logits: `nll_gradient`, or from `by_autograd`.
    `score` is called on val's logits [E, N, C] and returns one number per exit [E], lower is better.
    """
    inputs, val = net.inputs(task.train), net.inputs(task.val)
    return descend(
        adamw(net, schedule),
        net.parameters,
        net.exit_of,
        lambda rows: net.differentiate(take(inputs, rows), lambda logits: gradient(logits, rows)),
        lambda: score(net(val)),
        samples=len(task.train),
        epochs=schedule.epochs,
        batch_size=schedule.batch_size,
        generator=net.generator,
    )


def take(inputs: Sequence[Tensor], rows: Tensor) -> list[Tensor]:
    """Return the inputs of a batch, [B, g, D] per group."""
    return [x.index_select(0, rows) for x in inputs]


def start(task: Task) -> torch.Generator:
    """Return the generator of a recipe's random numbers, seeded with the task's seed."""
    return torch.Generator(device=task.device).manual_seed(task.seed)


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the negative log-likelihood (nats) [E, B] of labels [B] under logits [E, B, C]."""
    exits, batch, classes = logits.shape
    flat = nn.functional.cross_entropy(logits.reshape(-1, classes), labels.repeat(exits), reduction="none")
    return flat.view(exits, batch)


def nll_gradient(logits: Tensor, labels: Tensor, weight: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Return the gradient [E, B, C] of Σ_e mean_b w_eb nll_eb: bit-identical to autograd's, in half the time.

    weight: the weights [E, B] from the losses [E, B]; by default all are 1.
    """
    log_p = logits.log_softmax(-1)
    place = labels.expand(len(logits), -1)[..., None]
    share = log_p.new_ones(()) / len(labels)
    if weight is None:
        each = (-share).expand(place.shape)
    else:
        each = -(share * weight(-log_p.gather(-1, place)[..., 0]))[..., None]
    right = torch.zeros_like(logits).scatter_(-1, place, each)
    return torch.ops.aten._log_softmax_backward_data(right, log_p, -1, logits.dtype)


def by_autograd(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the gradient of `loss(logits [E, B, C], rows)` with respect to the logits, as a function of the same."""

    @torch.enable_grad()
    def gradient(logits: Tensor, rows: Tensor) -> Tensor:
        return torch.autograd.grad(loss(logits.requires_grad_(), rows), logits)[0]

    return gradient


def together(losses: Tensor) -> Tensor:
    """Return the mean of all exits' losses for every exit [E], so that interdependent heads keep a common epoch."""
    return losses.mean().expand_as(losses)
