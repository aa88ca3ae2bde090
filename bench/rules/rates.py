"""Exit rates whose mean cost is a budget, and the thresholds that produce these rates.

Axes: N samples, K exits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.budgets import INF, quota_thresholds, threshold_exits
from bench.exits import mean_cost

STEEPEST = 1e6  # tilt per unit of cost that leaves only the cheapest, or the most expensive, exit
FLOOR = 1e-12  # a rate of zero counts as this much, so that every budget can be reached


def tilt(rates: Tensor, costs: Tensor, target: Tensor) -> Tensor:
    """Return the rates [..., K] nearest to `rates` (by KL divergence) of cost `target` [...]: ∝ rate·exp(-λ·cost).

    costs [K] in the unit of the target. Even rates give the maximum-entropy ones. A target out of reach sends all
    samples to the cheapest, or the most expensive, exit.
    """
    logs, costs = rates.double().clamp_min(FLOOR).log(), costs.double()
    low = torch.full(torch.broadcast_shapes(logs.shape[:-1], target.shape), -STEEPEST, dtype=torch.float64)
    low = low.to(costs.device)
    high = -low
    for _ in range(100):
        middle = (low + high) / 2
        within = (torch.softmax(logs - middle[..., None] * costs, -1) * costs).sum(-1) <= target
        low, high = torch.where(within, low, middle), torch.where(within, middle, high)
    return torch.softmax(logs - high[..., None] * costs, -1)


def whole(rates: Tensor, n: int) -> Tensor:
    """Round rates [..., K] to whole numbers of n samples; by any exit at least as many have left, and sums stay 1."""
    left = (rates.double().cumsum(-1) * n - 1e-6).ceil()
    left[..., -1] = n
    return left.diff(dim=-1, prepend=torch.zeros_like(left[..., :1])) / n


def rate_thresholds(scores: Tensor, rates: Tensor, costs: Tensor, budget: float) -> Tensor:
    """Return per-exit thresholds [K] that let `rates` [K] of the samples leave, in order of their scores [N, K-1].

    With ties, more samples may leave at one exit than intended, and fewer later. If that breaks the budget, the rates
    are tilted towards cheap exits as little as needed, as a last resort until all samples leave at the first exit.
    """
    slopes = torch.cat([torch.zeros(1), torch.logspace(-3, 6, 64)]).to(costs.device, torch.float64)
    ladder = torch.softmax(rates.double().clamp_min(FLOOR).log() - slopes[:, None] * costs.double(), -1)
    thresholds = quota_thresholds(torch.nn.functional.pad(scores, (0, 1)), whole(ladder, len(scores)))
    within = mean_cost(threshold_exits(scores, thresholds), costs) <= budget
    return thresholds[int(within.to(torch.int8).argmax())]


def rate_exits(scores: Tensor, rates: Tensor) -> Tensor:
    """Return where samples leave [..., N] if rates [..., K] of them leave in order of their scores [..., N, K].

    As `bench.budgets.quota_thresholds`, but with separate scores for every row of rates.
    """
    n, exits = scores.shape[-2:]
    wanted = (whole(rates, n) * n).round().long()
    index = torch.full(scores.shape[:-1], exits - 1, device=scores.device)
    left = torch.zeros_like(index, dtype=torch.bool)
    for k in range(exits - 1):
        waiting = scores[..., k].masked_fill(left, -INF)
        ranked = waiting.sort(-1, descending=True).values
        want = wanted[..., k, None]
        last = ranked.gather(-1, (want - 1).clamp_min(0))
        leaves = (waiting >= last) & (want > 0) & (last > -INF)
        index = torch.where(leaves, k, index)
        left = left | leaves
    return index
