"""Many small weighted logistic regressions at once: one per operating point and gate. Axes as in exits.py, F inputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

MAX_ELEMENTS = 2**24  # of one [P, N, G] float64 block, which bounds the memory of a solve
TOLERANCE = 1e-7  # of the gradient, whose natural scale is 1: inputs are standardised, losses averaged


def solve(
    inputs: Tensor, targets: Tensor, pos_weight: Tensor, *, ridge: float = 1e-4, steps: int = 50
) -> tuple[Tensor, Tensor]:
    """Minimise mean_n w·BCE(z, t) + ridge/2·‖(weight, bias)‖² by Newton's method, for all points and gates together.

    inputs [N, G, F]; targets [P, N, G] in {0, 1}, or NaN if a sample adds no loss (the mean stays one over N);
    pos_weight [P, G] multiplies the loss if t = 1. Inputs are standardised internally (the ridge applies there, and
    keeps the solution finite if all targets are equal) and folded back, so the result, weight [P, G, F] and bias [P, G]
    in float64, applies to raw inputs. Deterministic; there is no learning rate.
    """
    if not inputs.numel():
        shape = (len(targets), *inputs.shape[1:])
        return inputs.new_zeros(shape, dtype=torch.float64), inputs.new_zeros(shape[:-1], dtype=torch.float64)
    x = inputs.double()
    std, mean = torch.std_mean(x, dim=0, correction=0)
    std = torch.where(std > 1e-9, std, torch.ones_like(std))
    design = torch.cat([(x - mean) / std, torch.ones_like(x[..., :1])], -1)
    chunk = max(1, MAX_ELEMENTS // max(1, design.shape[0] * design.shape[1]))
    parts = [
        _newton(design, targets[i : i + chunk].double(), pos_weight[i : i + chunk].double(), ridge, steps)
        for i in range(0, len(targets), chunk)
    ]
    solution = torch.cat(parts)
    weight = solution[..., :-1] / std
    return weight, solution[..., -1] - (weight * mean).sum(-1)


def _newton(design: Tensor, targets: Tensor, pos_weight: Tensor, ridge: float, steps: int) -> Tensor:
    n, gates, f = design.shape
    penalty = torch.full((f,), ridge, dtype=torch.float64, device=design.device)
    outer = (design[..., :, None] * design[..., None, :]).reshape(n, gates, f * f).permute(1, 0, 2)  # [G, N, F·F]
    by_gate = design.permute(1, 0, 2)  # [G, N, F]
    t = targets.permute(2, 0, 1)  # [G, P, N]
    weight = torch.where(t > 0.5, pos_weight.T[..., None], 1.0).where(~t.isnan(), 0.0)
    t = t.nan_to_num(0)
    w = torch.zeros(gates, targets.shape[0], f, dtype=torch.float64, device=design.device)

    def objective(w: Tensor) -> Tensor:
        z = w @ by_gate.mT
        return (weight * (softplus(z) - t * z)).mean(-1) + 0.5 * (penalty * w * w).sum(-1)

    value = objective(w)
    for _ in range(steps):
        s = torch.sigmoid(w @ by_gate.mT)
        gradient = (weight * (s - t)) @ by_gate / n + penalty * w
        open_ = (
            gradient.abs().amax(-1) >= TOLERANCE
        )  # each problem stops by itself, so its answer does not depend on the others
        if not bool(open_.any()):
            break
        hessian = ((weight * s * (1 - s)) @ outer / n).reshape(gates, -1, f, f) + torch.diag(penalty)
        direction = torch.linalg.solve(hessian, gradient.unsqueeze(-1)).squeeze(-1)
        w, value = _line_search(objective, w, value, direction * open_[..., None])
    return w.permute(1, 0, 2)


def _line_search(objective, w: Tensor, value: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Halve the step of each problem until its objective no longer rises."""
    step = torch.ones_like(value)
    for _ in range(30):
        candidate = w - step[..., None] * direction
        new = objective(candidate)
        rises = ~(new <= value)
        if not bool(rises.any()):
            break
        step = torch.where(rises, step / 2, step)
    keep = (new <= value)[..., None]
    return torch.where(keep, candidate, w), torch.minimum(new, value)
