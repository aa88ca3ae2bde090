"""Votes of exits (Sun et al., Early Exiting with Ensemble Internal Classifiers, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score
from bench.rules.mixing import mixed_levels


@dataclass(frozen=True)
class VotingConfig:
    """The heads, and how strongly votes are divided by the number of exits that voted."""

    heads: str = "plain"
    power: float = tunable(0.5, 0.1, 0.9)

    def __post_init__(self) -> None:
        if not 0 <= self.power < 1:
            raise ValueError(f"power={self.power:g} must be at least 0 and below 1: at 1 the first exit always wins.")


class Votes(Score):
    """The votes for the prediction of exit k among the exits so far, over (k+1)^power."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return shares(logits.argmax(-1), self.power)[:, k]

    def macs(self, k: int, classes: int) -> int:
        return classes + 1  # the search for the largest logit, and the division

    def all(self, logits: Tensor) -> Tensor:
        return shares(logits[:, :-1].argmax(-1), self.power)


class Voting(Method):
    """Exits vote for a class; leave when the winner's votes over k^λ reach τ (voting, Sun et al.).

    After k exits the class with the most votes has V_k of them, and a sample leaves at the first k with V_k / k^λ >= τ
    (λ is `power`). It answers with that exit's own logits, which predict the winner: between two exits V_k / k^λ rises
    only if exit k votes for the winner, so the first exit that reaches τ always does. The last exit answers by itself.

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
        fitted, score = heads.fit(self.config.heads, task), Votes(self.config.power)
        values = score.all(fitted.logits(task.val)).flatten().unique()
        levels = torch.cat([values, values.new_tensor([torch.inf])])
        return mixed_levels(
            task, budgets, fitted, score, levels, lambda _, cost: f"number of votes that costs more than {cost:.4f}"
        )


def shares(predicted: Tensor, power: float) -> Tensor:
    """Return the votes for each exit's prediction among the exits so far, over k^power: float64 [N, K] from [N, K]."""
    votes = (predicted[:, :, None] == predicted[:, None, :]).tril().sum(-1)
    divisors = [(k + 1) ** power for k in range(predicted.shape[1])]
    return votes.double() / torch.tensor(divisors, dtype=torch.float64, device=predicted.device)
