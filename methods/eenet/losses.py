"""Scores of EENet: their inputs, how they are chained along the exits, and the losses of scores and plans.

Axes as in schedule.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.rules.rates import FLOOR


def describe(logits: Tensor) -> Tensor:
    """Return the inputs of a score from answers [..., C]: probabilities, their largest, 1 - H/log C; [..., C + 2]."""
    z = logits.float()
    z = z - z.amax(-1, keepdim=True)
    e = z.exp()
    total = e.sum(-1, keepdim=True)
    spread = total.log() - (e * z).sum(-1, keepdim=True) / total
    limit = max(math.log(logits.shape[-1]), FLOOR)
    return torch.cat([e / total, 1 / total, 1 - spread / limit], -1)


def chain(base: Sequence[Tensor], earlier: Tensor) -> Tensor:
    """Return the unclipped scores [..., n, K] from each exit's own part, K of [..., n], and `earlier` [..., K, K].

    Exit k adds Σ_{j<k} earlier_kj·q_j, where q_j is exit j's score clipped to [0, 1] and held fixed: no gradient flows
    into the earlier exits.
    """
    clipped: list[Tensor] = []
    found = []
    for k, score in enumerate(base):
        for j, q in enumerate(clipped):
            score = torch.addcmul(score, q, earlier[..., k, j, None])
        found.append(score)
        clipped.append(score.detach().clamp(0, 1))
    return torch.stack(found, -1)


def score_loss(scores: Tensor, correct: Tensor, weights: Tensor) -> Tensor:
    """Return L_q [...]: the weighted cross-entropy of clipped scores and correctness [..., n, K], mean over K.

    weights are those of the samples at each exit; they sum to 1 over the samples and carry no gradient.
    """
    q = scores.clamp(1e-3, 1 - 1e-3)
    entropy = -torch.where(correct > 0.5, q.log(), (1 - q).log())
    return (weights.detach() * entropy).sum(-2).mean(-1)


def plan_loss(logits: Tensor, target: Tensor, costs: Tensor, budgets: Tensor, ce: float, cost: float) -> Tensor:
    """Return L_r [...]: ce·KL(target ‖ P)/K + cost·|mean cost of P - B|/B with P = softmax(logits [..., n, K]).

    target [..., n, K] are distributions, costs [K], budgets [...]. The divergence is averaged over samples and exits,
    as the released code's `nn.KLDivLoss` does.
    """
    log_p = logits.log_softmax(-1)
    divergence = (target * (target.clamp_min(FLOOR).log() - log_p)).mean((-2, -1))
    planned = (log_p.exp() * costs).sum(-1).mean(-1)
    return ce * divergence + cost * (planned - budgets).abs() / budgets
