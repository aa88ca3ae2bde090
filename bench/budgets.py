"""Compute thresholds that meet a budget from confidence scores and costs. Axes as in exits.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.exits import first_true, mean_cost

INF = float("inf")


def geometric_quotas(ratio: float | Tensor, exits: int) -> Tensor:
    """Return the share of samples [..., K] that should leave at each exit: q_k ∝ ratio^k, k = 1…K, normalised.

    A tensor of ratios [...] gives one row each. Source: MSDNet's budgeted batch (Huang et al., ICLR 2018).
    """
    steps = torch.arange(1, exits + 1, dtype=torch.float64)
    exponent = torch.as_tensor(ratio, dtype=torch.float64).log()[..., None] * steps
    return torch.softmax(exponent, -1)


def quota_thresholds(confidence: Tensor, quotas: Tensor) -> Tensor:
    """Return per-exit thresholds [..., K] that let quotas [..., K] of the samples leave at each exit.

    confidence [N, K]. Exit by exit, among the samples that have not left, the ⌊N·q_k⌋ most confident ones leave: T_k is
    the confidence of the last of them, and *every* sample with confidence >= T_k leaves. The last threshold is -inf; a
    quota of 0 samples, or one that cannot be filled, gives +inf. Several rows of quotas are solved at once.
    """
    n, exits = confidence.shape
    rows = quotas.reshape(-1, exits)
    wanted = (rows.to(torch.float64) * n + 1e-9).floor().to(torch.int64)
    thresholds = torch.full(rows.shape, INF, dtype=confidence.dtype, device=confidence.device)
    thresholds[:, -1] = -INF
    left = torch.zeros(len(rows), n, dtype=torch.bool, device=confidence.device)
    for k in range(exits - 1):
        order = confidence[:, k].argsort(descending=True, stable=True)
        count = (~left[:, order]).cumsum(1)
        want = wanted[:, k, None].contiguous().to(count.device)
        position = torch.searchsorted(count, want).squeeze(1)
        filled = (position < n) & (want.squeeze(1) > 0)
        value = confidence[order[position.clamp_max(n - 1)], k]
        thresholds[:, k] = torch.where(filled, value, thresholds[:, k])
        left |= confidence[:, k] >= thresholds[:, k, None]
    return thresholds.reshape(quotas.shape)


def threshold_exits(confidence: Tensor, thresholds: Tensor) -> Tensor:
    """Return where samples leave, int64 [..., N]: the first k < K-1 with confidence >= threshold, else K-1.

    confidence [N, K-1 or K], thresholds [..., K]; the values of the last exit are not used.
    """
    gates = thresholds.shape[-1] - 1
    return first_true(confidence[:, :gates] >= thresholds[..., None, :gates])


def global_thresholds(confidence: Tensor, costs: Tensor, budgets: Sequence[float]) -> Tensor:
    """Return per budget the largest single threshold t [B] whose mean cost on these samples is within that budget.

    confidence [N, G]: scores of the gates; a sample leaves at the first exit with score >= t. costs [K]: cost of
    leaving at each exit, in the unit of the budgets. The cost grows with t, so t is found by bisection over the scores
    that occur; +inf if all samples may use the last exit, -inf if all must leave at the first exit (or if even that is
    too expensive).
    """
    values = torch.cat([confidence.new_tensor([-INF]), confidence.flatten().unique(), confidence.new_tensor([INF])])
    limit = torch.as_tensor(list(budgets), dtype=torch.float64, device=confidence.device)
    low = torch.zeros(len(limit), dtype=torch.int64, device=confidence.device)
    high = torch.full_like(low, len(values) - 1)
    while bool((low < high).any()):
        middle = (low + high + 1) // 2
        index = first_true(confidence >= values[middle][:, None, None])
        within = mean_cost(index, costs) <= limit
        low, high = torch.where(within, middle, low), torch.where(within, high, middle - 1)
    return values[low]


def most_expensive_within(costs: Tensor, budgets: Sequence[float]) -> list[int | None]:
    """Return per budget the index of the operating point [P] with the largest cost that fits it, None if none does.

    Ties go to the first point.
    """
    return [
        None if not bool((costs <= b).any()) else int(torch.where(costs <= b, costs, -torch.inf).argmax())
        for b in budgets
    ]
