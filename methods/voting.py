"""Votes of exits (Sun et al., Early Exiting with Ensemble Internal Classifiers, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.exits import at_exits, first_true, mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.recipe import Heads
from bench.rules import HeadsPolicy, rule_fractions
from bench.rules.mixing import mixtures


@dataclass(frozen=True)
class VotingConfig:
    """The heads, and how strongly votes are divided by the number of exits that voted."""

    heads: str = "plain"
    power: float = tunable(0.5, 0.1, 0.9)

    def __post_init__(self) -> None:
        if not 0 <= self.power < 1:
            raise ValueError(f"power={self.power:g} must be at least 0 and below 1: at 1 the first exit always wins.")


class VotePolicy(HeadsPolicy):
    """Leave at the first exit k whose prediction has at least level·(k+1)^power votes of the exits so far."""

    def __init__(self, heads: Heads, exits: int, classes: int, power: float, level: float, note: str = "") -> None:
        super().__init__(heads, exits)
        self.classes, self.power, self.level, self.note = classes, power, level, note

    def leave(self, k: int, logits: Tensor) -> Tensor:
        predicted = logits.argmax(-1)
        votes = (predicted == predicted[:, -1:]).sum(1)
        return votes.double() / (k + 1) ** self.power >= self.level

    def gate_macs(self, k: int) -> int:
        return self.classes + 1  # the search for the largest logit, and the division


class Voting(Method):
    """Exits vote for a class; leave when the winner's votes over k^λ reach τ (voting, Sun et al.).

    After k exits the class with the most votes has V_k of them, and a sample leaves at the first k with V_k / k^λ >= τ
    (λ is `power`). It answers with that exit's own logits, which predict the winner: between two exits V_k / k^λ rises
    only if exit k votes for the winner, so the first exit that reaches τ always does. The last exit answers for itself.

    The rule has finitely many levels τ; every value that occurs on val is tried, and a budget between two levels is met
    by a random mixture of the neighbours on val's accuracy-cost hull. A budget below the cheapest level is infeasible;
    one above the most accurate level gets that level and a note.

    Source: Sun et al., Early Exiting with Ensemble Internal Classifiers, https://arxiv.org/abs/2105.13792. Assumed in
    part: that votes are divided by k^λ, and λ = 1/2. Its training objective, which makes exits diverse, is not used:
    the heads are those of `heads`.
    """

    name: ClassVar[str] = "voting"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Early Exiting with Ensemble Internal Classifiers (voting)",
        authors="Sun et al.",
        venue="arXiv",
        year=2021,
        link="https://arxiv.org/abs/2105.13792",
        family="agreement",
        basis="assumed in part",
        detail="that votes are divided by k^λ, and λ = 1/2; the training objective of the paper is not used",
    )
    Config: ClassVar[type] = VotingConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Evaluate all levels on val at once, then mix two of them per budget."""
        fitted, exits, classes = heads.fit(self.config.heads, task), task.num_exits, task.num_classes
        answers = fitted.logits(task.val)
        predicted = answers.argmax(-1)
        correct = predicted == task.val.labels[:, None]
        score = shares(predicted[:, :-1], self.config.power)
        levels = torch.cat([score.flatten().unique(), score.new_tensor([torch.inf])])
        left = first_true(score >= levels[:, None, None])
        costs = rule_fractions(task, fitted, lambda k: classes + 1)
        cost = mean_cost(left, costs).tolist()
        right = at_exits(correct, left).double().mean(1).tolist()
        best = max(range(len(levels)), key=lambda i: (right[i], -cost[i]))
        note = f"unreachable: no number of votes that costs more than {cost[best]:.4f} is right more often on val"

        def policy(i: int, note: str = "") -> VotePolicy:
            return VotePolicy(fitted, exits, classes, self.config.power, float(levels[i]), note)

        policies = [policy(i) for i in range(len(levels))]
        coin_cost = classes / task.macs[-1]
        found = mixtures(policies, left, correct, answers[:, 0], costs, budgets, task.seed, coin_cost)
        short = cost[best] < float(costs[-1])
        return [
            policy(best, note) if p is policies[best] and short and cost[best] < b else p
            for p, b in zip(found, budgets, strict=True)
        ]


def shares(predicted: Tensor, power: float) -> Tensor:
    """Return the votes for each exit's prediction among the exits so far, over k^power: float64 [N, K] from [N, K]."""
    votes = (predicted[:, :, None] == predicted[:, None, :]).tril().sum(-1)
    divisors = [(k + 1) ** power for k in range(predicted.shape[1])]
    return votes.double() / torch.tensor(divisors, dtype=torch.float64, device=predicted.device)
