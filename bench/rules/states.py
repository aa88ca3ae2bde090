"""The state of a sample at exit k in a few numbers, and functions that are linear in it.

Axes as in exits.py; F features of a state, E directions in it, M knots of each, B functions of a basis.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from bench.exits import by_rows
from bench.rules.scores import Score

MARGIN = 20.0  # nats at which the log-margin is cut off: beyond e^20 to 1 a prediction is certain
HISTORY = 5  # state features besides the top probabilities
DIGITS = 9  # to which scores are rounded, so that they do not depend on the order of floating-point sums


def state(k: int, answers: Tensor, top: int = 3) -> Tensor:
    """Describe samples at exit k, float64 [N, top + 5], from the answers [N, k+1, C] of exits 0 … k.

    With p = softmax of exit k's answer: its `top` largest probabilities in falling order (0 if there are fewer
    classes); entropy of p over log C; log(p_1 / p_2), at most 20; 1 if the previous exit predicts the same class; the
    number of consecutive exits up to here that did, over k; the largest p_1 of exits 0 … k. With a single class: 1, 0,
    …, 0, 20, ….
    """
    return _joined(k, _alone(answers[:, k], top), *_peaks(answers))


def states(answers: Tensor, top: int = 3) -> Tensor:
    """Return the states [N, K-1, top + 5] at every gate from the answers [N, K, C] of all exits."""
    return by_rows(partial(every_state, top=top), answers[:, :-1])


def every_state(answers: Tensor, top: int = 3) -> Tensor:
    """Return the states [N, K, top + 5] at every exit from the answers [N, K, C] of all of them."""
    if not answers.shape[1]:
        return answers.new_empty(len(answers), 0, top + HISTORY, dtype=torch.float64)
    alone, (labels, totals) = _alone(answers, top), _peaks(answers)
    return torch.stack([_joined(k, alone[:, k], labels, totals) for k in range(answers.shape[1])], 1)


def _alone(answers: Tensor, top: int) -> Tensor:
    """Return the part of a state that depends on one answer [..., C]: float64 [..., top + 2]."""
    z = answers.double()
    z = z - z.amax(-1, keepdim=True)
    e = z.exp()
    total = e.sum(-1)
    classes = z.shape[-1]
    best = z.topk(min(max(top, 2), classes)).values
    largest = z.new_zeros(*z.shape[:-1], top)
    largest[..., : min(top, classes)] = best[..., :top].exp() / total[..., None]
    spread = (total.log() - (e * z).sum(-1) / total) / math.log(max(classes, 2))
    margin = best[..., 1].neg().clamp(0, MARGIN) if classes > 1 else torch.full_like(total, MARGIN)
    return torch.cat([largest, torch.stack([spread, margin], -1)], -1)


def _peaks(answers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the predictions [N, K] of answers [N, K, C], and the inverse [N, K] of their probabilities."""
    peaks, labels = answers.max(-1, keepdim=True)
    return labels.squeeze(-1), (answers - peaks).exp().sum(-1).double()


def _joined(k: int, alone: Tensor, labels: Tensor, totals: Tensor) -> Tensor:
    """Append agreement and confidence up to exit k [N, 3] to the features of its own answer [N, F]; see `_peaks`."""
    same, streak, confidence = torch.zeros_like(alone[:, 0]), torch.zeros_like(alone[:, 0]), alone[:, 0]
    if k:
        agrees = (labels[:, :k] == labels[:, k, None]).double().flip(-1)
        same, streak = agrees[:, 0], agrees.cumprod(-1).sum(-1) / k
        confidence = torch.maximum(confidence, 1 / totals[:, :k].amin(-1))
    return torch.cat([alone, torch.stack([same, streak, confidence], -1)], -1)


def state_macs(classes: int) -> int:
    """Count the cost of a state per sample: softmax and entropy, one each per class; comparisons are not MACs."""
    return 2 * classes


def along(states: Tensor, directions: Tensor) -> Tensor:
    """Append to states [N, …, F] their products with directions [..., F, E]: [N, …, F + E]."""
    return torch.cat([states, (states[..., None] * directions).sum(-2)], -1)


def knots(features: Tensor, count: int) -> Tensor:
    """Return `count` inner quantiles [G, F, count] of every feature of [N, G, F]."""
    levels = torch.arange(1, count + 1, dtype=torch.float64, device=features.device) / (count + 1)
    if not features.numel():
        return features.new_empty(*features.shape[1:], count)
    return features.quantile(levels, 0).permute(1, 2, 0)


def hinges(features: Tensor, at: Tensor) -> Tensor:
    """Append max(0, feature - knot) for knots [..., F, M] to features [N, …, F]: a basis [N, …, F·(1+M)].

    A function that is linear in it is a sum of piecewise linear functions of the features.
    """
    return torch.cat([features, (features[..., None] - at).clamp_min(0).flatten(-2)], -1)


class StateBasis(nn.Module):
    """The basis of a `StateScore` at every gate: the state, or the hinges of the state and of directions in it."""

    directions: Tensor
    at: Tensor

    def __init__(self, directions: Tensor, at: Tensor, top: int = 3) -> None:
        """Take directions [G, F, E] and the knots of states and directions, `at` [G, F+E, M]."""
        super().__init__()
        self.top = top
        self.register_buffer("directions", directions)
        self.register_buffer("at", at)

    def forward(self, k: int, logits: Tensor) -> Tensor:
        """Return the basis [N, (F+E)·(1+M)] at gate k from the answers [N, k+1, C] of exits 0 … k."""
        return hinges(along(state(k, logits, self.top), self.directions[k]), self.at[k])

    def all(self, logits: Tensor) -> Tensor:
        """Return the basis [N, K-1, (F+E)·(1+M)] at every gate from the answers [N, K, C] of all exits."""
        return hinges(along(states(logits, self.top), self.directions), self.at)


class StateScore(Score):
    """Per exit, a function that is linear in a basis of the state; many scores may share the basis."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, top: int = 3, basis: StateBasis | None = None) -> None:
        """Take weight [G, B] and bias [G] for a basis, by default the states with `top` probabilities themselves."""
        super().__init__()
        none = weight.new_empty(*weight.shape, 0)
        self.basis = StateBasis(none, none, top) if basis is None else basis
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return ((self.basis(k, logits) * self.weight[k]).sum(-1) + self.bias[k]).round(decimals=DIGITS)

    def all(self, logits: Tensor) -> Tensor:
        return self.weigh(self.basis.all(logits))

    def weigh(self, values: Tensor) -> Tensor:
        """Return the scores [N, K-1] from the values of the basis [N, K-1, B]."""
        return ((values * self.weight).sum(-1) + self.bias).round(decimals=DIGITS)

    def macs(self, k: int, classes: int) -> int:
        return state_macs(classes) + self.basis.directions[k].numel() + self.weight.shape[-1]


class Ridge:
    """Least squares of many targets on x [N, B], on all rows and on all but each fold, with a free intercept.

    Minimises mean_n (x·weight + bias - y)² + ridge·‖weight‖² over standardised x. Folds are blocks of consecutive rows.
    """

    def __init__(self, x: Tensor, folds: int, ridge: float) -> None:
        std, self.mean = torch.std_mean(x, 0, correction=0)
        self.std = torch.where(std > 1e-6, std, torch.ones_like(std))
        self.folds = torch.cat([(x - self.mean) / self.std, torch.ones_like(x[:, :1])], 1).tensor_split(folds)
        gram = self._outside(torch.stack([rows.T @ rows for rows in self.folds]))
        penalty = torch.full_like(gram[0, 0], ridge)
        penalty[-1] = 0
        self.factor = torch.linalg.cholesky(gram + gram[:, -1:, -1:] * torch.diag(penalty))

    def fit(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return predictions [N, P] of y [N, P] by fits without the row's fold; weight [B, P], bias [P] of all rows."""
        parts = y.tensor_split(len(self.folds))
        right = self._outside(torch.stack([rows.T @ part for rows, part in zip(self.folds, parts, strict=True)]))
        solution = torch.cholesky_solve(right, self.factor)
        unseen = torch.cat([rows @ s for rows, s in zip(self.folds, solution[:-1], strict=True)])
        weight = solution[-1, :-1] / self.std[:, None]
        return unseen, weight, solution[-1, -1] - self.mean @ weight

    def _outside(self, sums: Tensor) -> Tensor:
        """Turn sums over each fold into sums over all other folds, and over all; a single fold has no others."""
        total = sums.sum(0, keepdim=True)
        return torch.cat([total - sums if len(sums) > 1 else total, total])
