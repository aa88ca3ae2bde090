"""Last-layer Laplace approximation of linear heads with Kronecker factors, as in Meronen et al. (WACV 2024).

Axes: N samples, D features (D+1 with the bias's 1), C classes, V prior variances, T temperatures, S draws.
A head's weights are Gaussian around the trained ones, so the logits of x are Gaussian around the trained ones with
covariance q(x)·B⁻¹: q(x) = φᵀA⁻¹φ, φ = (standardised x, 1), A = √N·V + I/√var0, B = √N·U + I/√var0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.heads.layers import LayerHeads, standardiser
from bench.recipe import Heads

VARIANCES = (0.5, 0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class Factors:
    """Kronecker factors of one head over its N training samples."""

    inputs: Tensor  # V = mean φφᵀ [D+1, D+1]
    outputs: Tensor  # U = mean (diag(p) - ppᵀ) [C, C], float64
    mean: Tensor  # [D], which standardises x
    std: Tensor  # [D]
    count: int


def linear_layers(heads: Heads, recipe: str) -> list[nn.Linear]:
    """Return the linear layers of heads that are linear layers only; raise UserError for any other recipe."""
    layers = list(heads.layers) if isinstance(heads, LayerHeads) else None
    linear = [layer for layer in layers or () if isinstance(layer, nn.Linear)]
    if linear != layers or heads.needs_previous or type(heads).combine is not Heads.combine:
        raise UserError(
            f"mie_lap needs heads whose exits each answer with one linear layer on their own features, which "
            f"heads={recipe} are not. Valid: plain, distilled and l2w, without a hidden layer (width=0), and native "
            "if each of them is one."
        )
    return linear


def kfac(features: Tensor, logits: Tensor) -> Factors:
    """Return the factors of a linear head from its features [N, D] and logits [N, C] on the training split.

    The output factor is the exact Hessian of the cross-entropy in the logits, which needs no labels.
    """
    mean, std = standardiser(features)
    phi = torch.cat([(features - mean) / std, torch.ones_like(features[:, :1])], 1)
    p = logits.double().softmax(-1)
    n = len(features)
    return Factors(phi.T @ phi / n, torch.diag(p.mean(0)) - p.T @ p / n, mean, std, n)


class Posterior:
    """The Laplace posterior of one head for a batch of prior variances [V]."""

    def __init__(self, factors: Factors, variances: Sequence[float] = VARIANCES) -> None:
        self.factors = factors
        device = factors.outputs.device
        root_n = math.sqrt(factors.count)
        prior = torch.tensor(variances, dtype=torch.float64, device=device).rsqrt()
        values, self.axes = torch.linalg.eigh(factors.inputs)
        self.inputs = root_n * values.clamp_min(0).double() + prior[:, None]  # [V, D+1], the eigenvalues of A
        eye = torch.eye(len(factors.outputs), dtype=torch.float64, device=device)
        lower = torch.linalg.cholesky(root_n * factors.outputs + prior[:, None, None] * eye)
        inverse = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
        self.output_root = inverse.mT  # [V, C, C]: R with R·Rᵀ = B⁻¹

    def spread(self, features: Tensor) -> Tensor:
        """Return q(x) [V, N] of features [N, D]."""
        f = self.factors
        phi = torch.cat([(features - f.mean) / f.std, torch.ones_like(features[:, :1])], 1)
        return ((phi @ self.axes).square() @ (1 / self.inputs).T.to(phi.dtype)).T

    def spread_layer(self, v: int) -> nn.Linear:
        """Return the linear layer D → D+1 on raw features whose squared norm is q(x), under prior variance v."""
        f = self.factors
        root = (self.axes * self.inputs[v].rsqrt().to(self.axes.dtype)).T
        weight = root[:, :-1] / f.std
        layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(root[:, -1] - weight @ f.mean)
        return layer.requires_grad_(False)

    def noise(self, z: Tensor) -> Tensor:
        """Turn z [S, C], standard normal, into draws [V, S, C] from N(0, B⁻¹)."""
        return z.double() @ self.output_root.mT

    def variance(self) -> Tensor:
        """Return the variances [V, 1, C] of such draws, the diagonal of B⁻¹."""
        return self.output_root.square().sum(-1)[:, None]
