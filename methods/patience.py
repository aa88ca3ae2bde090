"""Patience: stop when exits keep agreeing (Zhou et al., PABEE, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import heads
from bench.exits import at_exits, first_true, mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.recipe import Heads
from bench.rules import HeadsPolicy, rule_fractions
from bench.rules.mixing import mixtures


@dataclass(frozen=True)
class PatienceConfig:
    """The heads, and how agreement is counted."""

    heads: str = "plain"
    counting: Literal["pabee", "gmum", "lgvit"] = "pabee"


def run_lengths(predicted: Tensor) -> Tensor:
    """Return [N, K]: the number of consecutive exits up to and including each one that predict the same class as it."""
    runs = [torch.ones_like(predicted[:, 0])]
    for k in range(1, predicted.shape[1]):
        runs.append(torch.where(predicted[:, k] == predicted[:, k - 1], runs[-1] + 1, 1))
    return torch.stack(runs, 1)


class RunPolicy(HeadsPolicy):
    """Leave at the first exit that ends a run of `run` equal predictions."""

    def __init__(self, heads: Heads, run: int, exits: int, classes: int, note: str = "") -> None:
        super().__init__(heads, exits)
        self.run, self.classes, self.note = run, classes, note

    def leave(self, k: int, logits: Tensor) -> Tensor:
        if k + 1 < self.run:
            return torch.zeros(logits.shape[0], dtype=torch.bool, device=logits.device)
        recent = logits[:, k + 1 - self.run :].argmax(-1)
        return (recent == recent[:, -1:]).all(1)

    def gate_macs(self, k: int) -> int:
        return self.classes  # the search for the largest logit


class Patience(Method):
    """Leave once t exits in a row confirm their predecessor's prediction (PABEE); t and mixtures of two meet a budget.

    The counter of exit k is compared with the patience t = 1 … K-1. Implementations count differently: `pabee` starts
    at 0, adds 1 if argmax a_k = argmax a_{k-1}, resets to 0 otherwise and stops at counter >= t; `gmum` starts at 1 at
    every new label and stops at counter > t, which is the same rule, t + 1 equal predictions, but also has t = 0, at
    which all samples exit at the first exit; `lgvit` starts at 1 and stops at counter >= t: t equal predictions, so
    that its t = 1 is gmum's 0.

    Differences: every sample decides alone (the original stops a batch when all its rows agree); between two levels a
    budget is met by a random mixture of the neighbours on val's accuracy-cost hull. A budget below the cheapest level
    is infeasible; one above the most accurate level gets that level and a note. Finding the predicted class counts as C
    MACs.
    """

    name: ClassVar[str] = "patience"
    version: ClassVar[int] = 2
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="BERT Loses Patience: Fast and Robust Inference with Early Exit (PABEE)",
        authors="Zhou, Xu, Ge, McAuley, Xu, Wei",
        venue="NeurIPS",
        year=2020,
        link="https://arxiv.org/abs/2006.04152",
        family="agreement",
        basis="checked against the authors' code",
        detail="every exit of the counters of PABEE, gmum and LGViT; the mixture of two levels that meets a budget "
        "is ours",
    )
    Config: ClassVar[type] = PatienceConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Evaluate all levels on val at once, then mix two of them per budget."""
        fitted, exits, classes = heads.fit(self.config.heads, task), task.num_exits, task.num_classes
        answers = fitted.logits(task.val)
        predicted = answers.argmax(-1)
        correct = predicted == task.val.labels[:, None]
        costs = rule_fractions(task, fitted, lambda k: classes)
        levels = range(0 if self.config.counting == "gmum" else 1, max(exits, 2))
        runs = [t if self.config.counting == "lgvit" else t + 1 for t in levels]
        gates = run_lengths(predicted)[:, :-1]
        left = first_true(gates >= torch.tensor(runs, device=gates.device)[:, None, None])
        policies = [RunPolicy(fitted, run, exits, classes) for run in runs]
        found = mixtures(policies, left, correct, answers[:, 0], costs, budgets, task.seed, classes / task.macs[-1])

        cost = mean_cost(left, costs).tolist()
        right = at_exits(correct, left).double().mean(1).tolist()
        best = max(range(len(levels)), key=lambda i: (right[i], -cost[i]))
        note = (
            f"unreachable: no patience that costs more than t={levels[best]} ({cost[best]:.4f} of the plain backbone) "
            "is right more often on val"
        )
        noted = RunPolicy(fitted, runs[best], exits, classes, note)
        short = cost[best] < float(costs[-1])
        return [
            noted if p is policies[best] and short and cost[best] < b else p
            for p, b in zip(found, budgets, strict=True)
        ]
