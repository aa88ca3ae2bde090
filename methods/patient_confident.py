"""Patient and confident exits (Zhang et al., PCEE-BERT, Findings of NAACL 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.budgets import global_thresholds, threshold_exits
from bench.exits import at_exits, mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import HeadsPolicy, Score, ThresholdPolicy, negative_entropy, rule_fractions, too_small

MOST = 4  # the longest patience that n=0 tries


@dataclass(frozen=True)
class PatientConfidentConfig:
    """The heads, and how many confident exits in a row are required (n=0: the best number on val)."""

    heads: str = "plain"
    n: int = tunable(2, 1, MOST)

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n={self.n} must be a number of confident exits in a row, or 0 to choose it on val.")


class Patient(Score):
    """The least confident of the last n answers, as minus their entropy (nats); -inf before there are n answers."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, k: int, logits: Tensor) -> Tensor:
        if k + 1 < self.n:
            return logits.new_full((logits.shape[0],), -torch.inf, dtype=torch.float64)
        return negative_entropy(logits[:, k + 1 - self.n :]).amin(1)

    def macs(self, k: int, classes: int) -> int:
        return 2 * classes  # one entropy at each exit; the counter remembers the rest

    def all(self, logits: Tensor) -> Tensor:
        confidence = negative_entropy(logits[:, :-1])
        early = confidence.new_full((len(confidence), min(self.n - 1, confidence.shape[1])), -torch.inf)
        if confidence.shape[1] < self.n:
            return early
        return torch.cat([early, confidence.unfold(1, self.n, 1).amin(-1)], 1)


class PatientConfident(Method):
    """Leave once n exits in a row have an entropy of at most θ (PCEE-BERT); one θ per budget.

    The counter adds 1 if H_k <= θ, resets to 0 otherwise, and a sample leaves when it reaches n. That is the same as
    max(H_{k-n+1}, …, H_k) <= θ, so θ is found exactly, by bisection over the values that occur on val. Entropy is in
    nats; normalising by log C would only rescale θ. The original requires H_k < θ: with θ between two values that
    occur, there is no difference. n = 2 is LGViT's default (θ = 0.5 there); n = 1 is the entropy threshold; n = 0 uses
    for every budget the n = 1 … 4 that is most accurate on val. No sample can leave before exit n-1: smaller budgets
    are infeasible.
    """

    name: ClassVar[str] = "patient_confident"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="PCEE-BERT: Accelerating BERT Inference via Patient and Confident Early Exiting",
        authors="Zhang, Zhu, Zhang, Wang, Jin, Chung",
        venue="Findings of NAACL",
        year=2022,
        link="https://aclanthology.org/2022.findings-naacl.25/",
        family="agreement",
        basis="checked against the authors' code",
        detail="every exit, against the counter in LGViT's code; the threshold that meets a budget is ours",
    )
    Config: ClassVar[type] = PatientConfidentConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget, and for every n that is tried, the θ with the largest val cost that fits it."""
        fitted, last = heads.fit(self.config.heads, task), task.num_exits - 1
        answers = fitted.logits(task.val)
        correct = answers.argmax(-1) == task.val.labels[:, None]
        costs = rule_fractions(task, fitted, lambda k: 2 * task.num_classes)
        found: list[HeadsPolicy | Infeasible] = [too_small(b, float(costs[self._earliest(last)])) for b in budgets]
        best = [-1.0] * len(budgets)
        for n in [self.config.n] if self.config.n else range(1, min(MOST, max(last, 1)) + 1):
            score, start = Patient(n), min(n - 1, last)
            scores = score.all(answers)
            rows = scores.new_full((len(budgets), last + 1), torch.inf)
            rows[:, start:] = global_thresholds(scores[:, start:], costs[start:], budgets)[:, None]
            left = threshold_exits(scores, rows)
            right = at_exits(correct, left).double().mean(1)
            for i, cost in enumerate(mean_cost(left, costs).tolist()):
                if cost <= budgets[i] and float(right[i]) > best[i]:
                    best[i], found[i] = float(right[i]), ThresholdPolicy(fitted, score, rows[i], task.num_classes)
        return found

    def _earliest(self, last: int) -> int:
        return min(max(self.config.n - 1, 0), last)
