"""Predictives of a Laplace posterior, their mixture over exits, and the search of its hyper-parameters on val.

Axes as in laplace.py.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from bench.methods.mie_lap.laplace import Posterior
from torch import Tensor, nn

TEMPERATURES = (0.3, 0.5, 0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0)  # the original's grids
BLOCK = 2**21  # elements of one block of the grid search, which bounds its memory
Predictive = Literal["mc", "probit"]


@torch.no_grad()
def predict(kind: Predictive, logits: Tensor, spread: Tensor, scatter: Tensor, temperature: Tensor) -> Tensor:
    """Return the predictive probabilities [..., N, C] of logits [N, C] with spread q [..., N].

    mc: the mean of softmax((a + √q·e) / T) over the draws e = scatter [..., S, C]. probit: softmax of
    (a / T) / √(1 + π/8·q·s² / T²), a minus its mean, which softmax ignores and the scaling would not; s² = scatter
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
