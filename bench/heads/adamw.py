"""AdamW, Adam and cosine decay, bit-identical to torch.optim, whose classes take seconds to import the compiler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS, EPSILON = (0.9, 0.999), 1e-8


class AdamW:
    """AdamW on groups of leaves, each with a rate of its own; `param_groups` and `state` are those of torch.optim."""

    def __init__(
        self,
        groups: Sequence[tuple[float, Sequence[Tensor]]],
        weight_decay: float,
        *,
        fused: bool = True,
        decoupled: bool = True,
        steps: int | None = None,
    ) -> None:
        """Take groups of rate and leaves; with `steps` the rates fall to zero over that many steps (`anneal`).

        decoupled: False for Adam, which adds the decay to the gradient; it cannot be fused.
        """
        self.fused, self.decoupled, self.steps, self.taken = fused and decoupled, decoupled, steps, 0
        shared = {"betas": BETAS, "eps": EPSILON, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [{"params": list(p), "lr": rate, **shared} for rate, p in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {
            p: {"step": torch.zeros((), device=p.device if fused else "cpu")}
            | {name: torch.zeros_like(p, memory_format=torch.preserve_format) for name in ("exp_avg", "exp_avg_sq")}
            for group in self.param_groups
            for p in group["params"]
        }

    def step(self, loss: Tensor | None = None) -> None:
        """Take a step along the leaves' gradients (of `loss`, if given); leaves without a gradient are not changed."""
        if loss is not None:
            leaves = [p for group in self.param_groups for p in group["params"]]
            for p, gradient in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
                p.grad = gradient
        self._update()
        self.taken += 1
        if self.steps is not None:
            anneal(self.param_groups, self.taken, self.steps)

    @torch.no_grad()
    def _update(self) -> None:
        for group in self.param_groups:
            leaves = [p for p in group["params"] if p.grad is not None]
            held = [[self.state[p][name] for p in leaves] for name in ("exp_avg", "exp_avg_sq", "step")]
            gradients = [p.grad for p in leaves if p.grad is not None]
            rates = {
                "lr": group["lr"],
                "beta1": BETAS[0],
                "beta2": BETAS[1],
                "weight_decay": group["weight_decay"],
                "eps": EPSILON,
                "maximize": False,
                "amsgrad": False,
            }
            if self.fused:  # as torch.optim does, without its checks
                torch._foreach_add_(held[2], 1)
                torch._fused_adamw_(leaves, gradients, held[0], held[1], [], held[2], **rates)
            else:
                adam(
                    leaves,
                    gradients,
                    held[0],
                    held[1],
                    [],
                    held[2],
                    fused=False,
                    foreach=False,
                    decoupled_weight_decay=self.decoupled,
                    **rates,
                )


def anneal(param_groups: Sequence[dict[str, Any]], taken: int, steps: int) -> None:
    """Lower the rates after step `taken` of `steps`, counted from 1, along a cosine that ends at zero."""
    fall = (1 + math.cos(math.pi * taken / steps)) / (1 + math.cos(math.pi * (taken - 1) / steps))
    for group in param_groups:
        group["lr"] = fall * group["lr"]
