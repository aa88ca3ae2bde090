"""Last-layer Laplace approximation of linear heads with Kronecker factors, as in Meronen et al. (WACV 2024).

Axes: N samples, D features (D+1 with the bias's 1), C classes, V prior variances, T temperatures, S draws.
A head's weights are Gaussian around the trained ones, so the logits of x are Gaussian around the trained ones with
covariance q(x)·B⁻¹: q(x) = φᵀA⁻¹φ, φ = (standardised x, 1), A = √N·V + I/√var0, B = √N·U + I/√var0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.heads.layers import LinearHeads, standardiser
from bench.recipe import Heads

TEMPERATURES = (0.3, 0.5, 0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0)  # the original's grids
VARIANCES = (0.5, 0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0)
BLOCK = 2**21  # elements of one block of the grid search, which bounds its memory

Predictive = Literal["mc", "probit"]


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
    if not isinstance(heads, LinearHeads) or heads.needs_previous or type(heads).combine is not Heads.combine:
        raise UserError(
            f"mie_lap needs heads whose exits each answer with one linear layer on their own features, which "
            f"heads={recipe} are not. Valid: plain, distilled and l2w, without a hidden layer (width=0)."
        )
    return [layer for layer in heads.layers if isinstance(layer, nn.Linear)]


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


@torch.no_grad()
def predict(kind: Predictive, logits: Tensor, spread: Tensor, scatter: Tensor, temperature: Tensor) -> Tensor:
    """Return the predictive probabilities [..., N, C] of logits [N, C] with spread q [..., N].

    mc: the mean of softmax((a + √q·e) / T) over the draws e = scatter [..., S, C]. probit: softmax of
    (a / T) / √(1 + π/8·q·s² / T²), a less its mean, which softmax ignores and the scaling would not; s² = scatter
    [..., 1, C]. temperature [...] broadcasts.
    """
    t = temperature[..., None, None]
    if kind == "probit":
        centred = (logits - logits.mean(-1, keepdim=True)) / t
        return (centred / (1 + math.pi / 8 * spread[..., None] * scatter / t.square()).sqrt()).softmax(-1)
    mean, scale = logits / t, spread.sqrt()[..., None] / t
    total = torch.zeros_like(mean + scale)
    drawn, p = torch.empty_like(total), torch.empty_like(total)
    for s in range(scatter.shape[-2]):
        torch.addcmul(mean, scale, scatter[..., s : s + 1, :], out=drawn)
        total += torch.softmax(drawn, -1, out=p)
    return total.div_(scatter.shape[-2])


def true_probability(
    kind: Predictive, logits: Tensor, spread: Tensor, scatter: Tensor, temperatures: Tensor, labels: Tensor
) -> Tensor:
    """Return the predictive probability [V, T, N] of labels [N]; spread [V, N], scatter [V, S or 1, C]."""
    rows = max(1, BLOCK // max(1, len(spread) * len(temperatures) * logits.shape[-1]))
    parts = []
    for a, q, y in zip(logits.split(rows), spread.split(rows, 1), labels.split(rows), strict=True):
        p = predict(kind, a, q[:, None], scatter[:, None], temperatures)
        parts.append(p.gather(-1, y[:, None].expand(*p.shape[:-1], 1)).squeeze(-1))
    return torch.cat(parts, -1)


def tune(
    kind: Predictive,
    posterior: Posterior,
    logits: Tensor,
    features: Tensor,
    labels: Tensor,
    draws: Tensor,
    before: Tensor,
    weight: Tensor,
) -> tuple[nn.Linear, Tensor, float, Tensor]:
    """Choose an exit's prior variance and temperature by the NLL of `before + weight·p_y`, from a split of N samples.

    Returns the spread layer, the scatter, the temperature and the new `before` [N]: the weighted probabilities of the
    labels, summed over the exits so far. draws [S, C] are standard normal. The whole grid is searched by probit; then
    mc searches the 3 × 3 neighbours of its best cell.
    """
    spread, variance = posterior.spread(features), posterior.variance().to(logits.dtype)
    grid = range(len(spread)), range(len(TEMPERATURES))
    v, t, after = best_cell("probit", *grid, logits, spread, variance, labels, before, weight)
    scatter = variance
    if kind == "mc":
        scatter = posterior.noise(draws).to(logits.dtype)
        near_v, near_t = _neighbours(v, len(spread)), _neighbours(t, len(TEMPERATURES))
        v, t, after = best_cell("mc", near_v, near_t, logits, spread, scatter, labels, before, weight)
    return posterior.spread_layer(v), scatter[v].clone(), TEMPERATURES[t], after


def best_cell(
    kind: Predictive,
    variances: range,
    temperatures: range,
    logits: Tensor,
    spread: Tensor,
    scatter: Tensor,
    labels: Tensor,
    before: Tensor,
    weight: Tensor,
) -> tuple[int, int, Tensor]:
    """Return the indices of the variance and temperature with the least NLL of `before + weight·p_y`, and that sum."""
    t = torch.tensor(TEMPERATURES, dtype=logits.dtype, device=logits.device)[list(temperatures)]
    rows = list(variances)
    p = true_probability(kind, logits, spread[rows], scatter[rows], t, labels)
    total = before + weight * p
    best = int(safe_log(total).mean(-1).flatten().argmax())
    i, j = divmod(best, len(t))
    return variances[i], temperatures[j], total[i, j]


def point_temperature(logits: Tensor, labels: Tensor, before: Tensor, weight: Tensor) -> float:
    """Choose the temperature of an exit without a posterior, by the NLL of `before + weight·p_y`."""
    none = logits.new_zeros(1, len(logits))
    everything = range(len(TEMPERATURES))
    t = best_cell("probit", range(1), everything, logits, none, none[:, :1, None], labels, before, weight)[1]
    return TEMPERATURES[t]


def _neighbours(index: int, count: int) -> range:
    return range(max(0, index - 1), min(count, index + 2))


def mix(log_p: Tensor, weights: Tensor) -> Tensor:
    """Return log(Σ w_j p_j / Σ w_j) [N, C] of log-probabilities [N, k, C] under weights [k]; all finite."""
    total = torch.zeros_like(log_p[:, 0])
    for each, share in zip(log_p.unbind(1), (weights / weights.sum()).tolist(), strict=True):
        total = total.add(each.exp(), alpha=share)
    return safe_log(total)


def safe_log(p: Tensor) -> Tensor:
    """Return log p, with underflow cut off at the smallest normal number of its type."""
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()
