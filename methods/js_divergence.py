"""Flexible patience: leave when successive exits' distributions agree (Gao et al., F-PABEE, ICASSP 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.budgets import global_thresholds, threshold_exits
from bench.exits import entropy, mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, ThresholdPolicy, rule_fractions, too_small

MOST = 4  # the longest patience of a search


@dataclass(frozen=True)
class JSDivergenceConfig:
    """The heads, and how many successive divergences in a row must be small."""

    heads: str = "plain"
    patience: int = tunable(1, 1, MOST)

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"patience={self.patience} must be at least 1: an exit is compared with the one before.")


class Agreement(Score):
    """Minus the largest of the last `patience` divergences of successive exits; -inf before there are that many."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience

    def forward(self, k: int, logits: Tensor) -> Tensor:
        if k < self.patience:
            return logits.new_full((logits.shape[0],), -torch.inf, dtype=torch.float64)
        return -divergences(logits[:, k - self.patience :]).amax(1)

    def macs(self, k: int, classes: int) -> int:
        return (3 if k else 2) * classes  # the softmax, its entropy, and that of the mean with the exit before


class JSDivergence(Method):
    """Leave when the answers of successive exits differ by at most θ in Jensen–Shannon divergence (F-PABEE).

    d_k = JS(p_k, p_{k-1}) = H((p_k + p_{k-1})/2) - (H(p_k) + H(p_{k-1}))/2, in nats. A counter adds 1 if d_k <= θ,
    resets to 0 otherwise, and a sample leaves when it reaches `patience`; that is the same as max(d_{k-patience+1}, …,
    d_k) <= θ, so the θ of a budget is found exactly, by bisection over the values that occur on val. Unlike equality of
    the predicted classes (`patience`), θ makes the trade-off continuous. No sample can leave before it has `patience`
    divergences: smaller budgets are infeasible.

    Source: Gao, Zhu, Gao & Yin, Flexible-Patience-based Early Exiting, ICASSP 2023, https://arxiv.org/abs/2305.11916.
    The original names several measures of similarity; this is the symmetric and bounded one. Its thresholds are set by
    hand, and it requires d_k < θ, which makes no difference with θ between two values that occur.
    """

    name: ClassVar[str] = "js_divergence"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="F-PABEE: Flexible-Patience-Based Early Exiting",
        authors="Gao, Zhu, Gao, Yin",
        venue="ICASSP",
        year=2023,
        link="https://arxiv.org/abs/2305.11916",
        family="agreement",
        basis="assumed in part",
        detail="that successive exits are compared by their Jensen–Shannon divergence; no code was read",
    )
    Config: ClassVar[type] = JSDivergenceConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the θ with the largest val cost that fits it."""
        fitted, score = heads.fit(self.config.heads, task), Agreement(self.config.patience)
        costs = rule_fractions(task, fitted, lambda k: score.macs(k, task.num_classes))
        start = min(self.config.patience, task.num_exits - 1)
        scores = score.all(fitted.logits(task.val))
        rows = scores.new_full((len(budgets), task.num_exits), torch.inf)
        rows[:, start:] = global_thresholds(scores[:, start:], costs[start:], budgets)[:, None]
        realised = mean_cost(threshold_exits(scores, rows), costs).tolist()
        return [
            ThresholdPolicy(fitted, score, row, task.num_classes) if cost <= b else too_small(b, float(costs[start]))
            for b, row, cost in zip(budgets, rows, realised, strict=True)
        ]


def divergences(logits: Tensor) -> Tensor:
    """Return the Jensen–Shannon divergences (nats) [..., K-1] of neighbours in logits [..., K, C], in float64."""
    log_p = logits.double().log_softmax(-1)
    own = entropy(log_p)
    first, second = log_p[..., :-1, :], log_p[..., 1:, :]
    mean = torch.logaddexp(first, second) - torch.tensor(2.0, dtype=torch.float64).log()
    return (entropy(mean) - (own[..., :-1] + own[..., 1:]) / 2).clamp_min(0)
