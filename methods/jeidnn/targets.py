"""The surrogate that JEI-DNN's gates learn: the risk of each exit, the targets of the best exit, and their weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Objective = Literal["ce", "zeroOne", "prob"]
Scheme = Literal["subsequent", "remaining", "ignore_subsequent", "only"]
Counting = Literal["none", "cumulative", "released", "global"]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy [N, ...] (nats) of logits [N, ..., C] with labels [N]."""
    index = labels.view(-1, *[1] * (logits.ndim - 1)).expand(*logits.shape[:-1], 1)
    return logits.logsumexp(-1) - logits.gather(-1, index).squeeze(-1)


def exit_risk(logits: Tensor, labels: Tensor, objective: Objective = "ce") -> Tensor:
    """Return the risk R [N, ...] of leaving with logits [N, ..., C]; lower is better.

    The cross-entropy (nats), or minus one (`zeroOne`) or minus p_max (`prob`) if the prediction is right, else 0.
    """
    if objective == "ce":
        return cross_entropy(logits, labels)
    right = logits.argmax(-1) == labels.view(-1, *[1] * (logits.ndim - 2))
    return -(right.to(logits.dtype) if objective == "zeroOne" else right * logits.softmax(-1).amax(-1))


def gate_targets(losses: Tensor, costs: Tensor, lam: float | Tensor, scheme: Scheme = "subsequent") -> Tensor:
    """Return the surrogate targets of the gates [..., K-1], as losses' dtype, from l* = argmin_l (loss_l + lam·cost_l).

    losses [..., K] per sample and exit, costs [K], lam a number or broadcastable to losses; ties go to the earliest
    exit. Targets are 1[l >= l*]; with `only`, 1[l = l*]; with `ignore_subsequent` those are NaN, which means "not in
    the loss", where l > l*. Source: Regol et al. 2024, the surrogate of the released code and its history. With
    `remaining` (ours) a target is 1 where no later exit is better, whatever earlier ones were.
    """
    total = losses + lam * costs.to(losses.device)
    if scheme == "remaining":
        later = total.flip(-1).cummin(-1).values.flip(-1)[..., 1:]
        return (total[..., :-1] <= later).to(losses.dtype)
    best = total.argmin(-1, keepdim=True)
    gates = torch.arange(losses.shape[-1] - 1, device=losses.device)
    if scheme == "subsequent":
        return (gates >= best).to(losses.dtype)
    targets = (gates == best).to(losses.dtype)
    return targets if scheme == "only" else targets.masked_fill(gates > best, torch.nan)


def positive_weight(targets: Tensor, counting: Counting, scheme: Scheme = "subsequent") -> Tensor:
    """Return the weight [P, G] of positive targets, min((N - n_l) / max(n_l, 0.1), 5), from targets [P, N, G].

    n_l counts the samples whose target is to leave at l or earlier (`cumulative`: the positives themselves) or exactly
    at l (`released`, as the released code counts); `none` weights all alike. `global` is one number for all gates, the
    zeros over the ones in the loss, not limited to 5 (1 if there are no ones).
    """
    if counting == "none":
        return torch.ones_like(targets[:, 0])
    if counting == "global":
        ones, zeros = (((targets == v).sum((1, 2)).to(targets.dtype)) for v in (1, 0))
        return torch.where(ones > 0, zeros / ones, 1.0)[:, None].expand(-1, targets.shape[2])
    positive = targets.nan_to_num(0)
    if counting == "released" and scheme == "subsequent":
        positive = targets.diff(dim=-1, prepend=torch.zeros_like(targets[..., :1]))
    hits = positive.sum(1)
    return ((targets.shape[1] - hits) / hits.clamp_min(0.1)).clamp_max(5)
