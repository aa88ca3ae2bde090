"""One max-probability threshold per class, shrunk to the one for all classes by empirical Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.exits import by_rows
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, logistic, one_threshold

FLATTEST = 0.5  # least slope of accuracy over log-odds: below it noise in the offsets would decide


@dataclass(frozen=True)
class PerClassConfig:
    """The heads, and how much less than empirical Bayes the thresholds of classes are shrunk."""

    heads: str = "plain"
    spread: float = tunable(1.0, 0.1, 10.0, log=True)

    def __post_init__(self) -> None:
        if self.spread < 0:
            raise ValueError(f"spread={self.spread:g} cannot be negative; 0 gives all classes one threshold")


class ClassScore(Score):
    """The log-odds of the largest probability plus an offset of the class that it predicts."""

    offset: Tensor

    def __init__(self, offset: Tensor) -> None:
        """Take offsets [G, C]: how much more often than its confidence says a prediction of that class is right."""
        super().__init__()
        self.register_buffer("offset", offset.double())

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return log_odds(logits[:, k]) + self.offset[k][logits[:, k].argmax(-1)]

    def macs(self, k: int, classes: int) -> int:
        return classes


class PerClassThreshold(Method):
    """A max-probability threshold per exit and predicted class, shrunk to the global one by empirical Bayes.

    With z the log-odds of p_max, a sample leaves exit k if z >= t - δ_kc, c the class that it predicts: class c has the
    threshold sigmoid(t - δ_kc). δ_kc makes predictions of class c as often right at their threshold as those of other
    classes: on val, P(right) = sigmoid(α_k + β_k z) is a logistic regression of exit k; a class effect a on top of it
    has, by one Newton step, the estimate U/I, with U = Σ (right - P) and I = Σ P (1 - P) over its predictions, and the
    variance 1/I. Class effects are taken as normal with mean 0 and a variance τ² estimated by moments (DerSimonian and
    Laird), so a = U / (I + 1/(spread·τ²)) and δ = a / max(β_k, ½). If classes differ only by noise, τ² = 0 and the rule
    is `global_thresh` exactly; a class that is rarely predicted keeps the global threshold. For a budget, t is found by
    bisection over the scores that occur on val.

    The rule is ours; shrinkage follows Efron and Morris (1975).
    """

    name: ClassVar[str] = "per_class_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Thresholds per class, shrunk to the one for all classes by empirical Bayes",
        authors="the authors of exitbench",
        venue="this benchmark",
        year=2026,
        link="",
        family="confidence",
        basis="our own",
        detail="no published rule is followed",
    )
    Config: ClassVar[type] = PerClassConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Estimate the offsets of all exits and classes on val, then find the threshold for every budget."""
        fitted = heads.fit(self.config.heads, task)
        logits = fitted.logits(task.val)[:, :-1]
        predicted = logits.argmax(-1)
        right = (predicted == task.val.labels[:, None]).double()
        z = by_rows(log_odds, logits)
        weight, bias = logistic.solve(z[..., None], right[None], torch.ones_like(right[:1]), ridge=1e-3)
        slope, expected = weight[0, :, 0], torch.sigmoid(z * weight[0, :, 0] + bias[0])
        effects = [
            class_effects(predicted[:, k], right[:, k], expected[:, k], task.num_classes, self.config.spread)
            for k in range(logits.shape[1])
        ]
        offset = torch.stack(effects) if effects else z.new_empty(0, task.num_classes)
        return one_threshold(task, budgets, fitted, ClassScore(offset / slope.clamp_min(FLATTEST)[:, None]))


def log_odds(logits: Tensor) -> Tensor:
    """Return log p/(1-p) [...] of the largest probability p of logits [..., C], in float64; 40 where p is 1."""
    z = logits.double()
    top, best = z.max(-1, keepdim=True)
    rest = (z - top).scatter(-1, best, -torch.inf).logsumexp(-1)
    return rest.neg().clamp_max(40.0)


def class_effects(predicted: Tensor, right: Tensor, expected: Tensor, classes: int, spread: float) -> Tensor:
    """Return the shrunk effect of each class [C] on the log-odds of being right, from predictions [N] and P(right)."""
    surplus = torch.zeros(classes, dtype=torch.float64, device=right.device).index_add(0, predicted, right - expected)
    information = torch.zeros_like(surplus).index_add(0, predicted, expected * (1 - expected))
    seen = information > 0
    total = information.sum()
    free = total - information.square().sum() / total.clamp_min(1e-12)
    chance = (surplus[seen].square() / information[seen]).sum() - (int(seen.sum()) - 1)
    variance = spread * float(chance.clamp_min(0) / free) if float(free) > 1e-9 else 0.0
    return surplus / (information + 1 / variance) if variance > 0 else torch.zeros_like(surplus)
