"""EERO's exit rates from exponential weights under a budget (Valade, Hebiri and Gay, UAI 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench import heads
from bench.budgets import quota_thresholds, threshold_exits
from bench.exits import at_exits
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Pointwise, ThresholdPolicy, max_probability, rule_fractions, too_small
from bench.rules.rates import rate_thresholds, tilt, whole


@dataclass(frozen=True)
class EEROConfig:
    """The heads, the inverse temperature per val error, and the number of rate vectors that are aggregated."""

    heads: str = "plain"
    beta: float = tunable(1.0, 0.01, 100.0, log=True)
    vectors: int = 512

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.vectors < 1:
            raise ValueError("beta must be positive and vectors at least 1.")


class EERO(Method):
    """EERO: exit rates by exponential weights under the budget, max-probability quantiles (Valade et al., UAI 2025).

    Exit k accepts its most confident share eps_k of all samples and passes the rest on to later exits: T_k is a
    quantile of max p_k on val, without labels. The rates are eps = Σ_v w_v·eps_v, w_v ∝ exp(-beta·errors(eps_v)), over
    vectors whose cost Σ_k eps_vk·C_k is within the budget; so is the cost of their mean.

    Assumed, because the estimator could not be checked against the paper: errors are those of the whole cascade on
    labelled val at the quantiles of eps_v; the prior is even over `vectors` draws from Dirichlet(1/2, …, 1/2), each
    tilted (∝ rate·exp(-λ·cost)) to a cost of its own, spread evenly over the costs of the exits, or to the budget if
    that is less. Val gives both the errors and the quantiles; the original takes quantiles from a second, unlabelled
    sample. A budget is not used up if more computing would not help on val.
    """

    name: ClassVar[str] = "eero"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="EERO: Early Exit with Reject Option for Efficient Classification with limited budget",
        authors="Valade, Hebiri, Gay",
        venue="UAI",
        year=2025,
        link="https://proceedings.mlr.press/v286/valade25a.html",
        family="calibrated",
        basis="assumed in part",
        detail="the estimator of the errors and the prior over rates are assumed; the authors' code could not be read",
    )
    Config: ClassVar[type] = EEROConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Aggregate the rates of each budget from its own vectors, evaluating all cascades of a budget at once."""
        fitted, score = heads.fit(self.config.heads, task), Pointwise(max_probability)
        logits = fitted.logits(task.val)
        scores, correct = score.all(logits), logits.argmax(-1) == task.val.labels[:, None]
        costs = rule_fractions(task, fitted, lambda k: score.macs(k, task.num_classes))
        prior = np.random.default_rng(task.seed).dirichlet(np.full(task.num_exits, 0.5), self.config.vectors)
        draws = torch.from_numpy(prior).to(task.device)
        found: list[Policy | Infeasible] = []
        for b in budgets:
            if b < float(costs[0]):
                found.append(too_small(b, float(costs[0])))
                continue
            rates = aggregate(scores, correct, admissible(draws, costs, b), self.config.beta)
            thresholds = rate_thresholds(scores, rates, costs, b)
            found.append(ThresholdPolicy(fitted, score, thresholds, task.num_classes))
        return found


def admissible(draws: Tensor, costs: Tensor, budget: float) -> Tensor:
    """Tilt rate vectors [V, K] to costs spread evenly over those of the exits, or to the budget if that is less."""
    low, high = float(costs.min()), float(costs.max())
    levels = torch.linspace(low, high, len(draws), dtype=torch.float64, device=costs.device)
    return tilt(draws, costs, levels.clamp_max(budget))


def aggregate(scores: Tensor, correct: Tensor, vectors: Tensor, beta: float) -> Tensor:
    """Return Σ_v w_v·vectors_v [K] with w_v ∝ exp(-beta·errors_v) from scores [N, K-1] and correctness [N, K]."""
    thresholds = quota_thresholds(torch.nn.functional.pad(scores, (0, 1)), whole(vectors, len(scores)))
    exits = threshold_exits(scores, thresholds)
    errors = at_exits(~correct, exits).sum(1)
    return torch.softmax(-beta * errors.double(), 0) @ vectors
