"""Patience: stop when exits keep agreeing (Zhou et al., PABEE, NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Score
from bench.rules.mixing import mixed_levels


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


class Runs(Score):
    """The number of consecutive exits up to exit k that predict the same class."""

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return run_lengths(logits.argmax(-1))[:, k].double()

    def macs(self, k: int, classes: int) -> int:
        return classes  # the search for the largest logit

    def all(self, logits: Tensor) -> Tensor:
        return run_lengths(logits.argmax(-1))[:, :-1].double()


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
        fitted, counting = heads.fit(self.config.heads, task), self.config.counting
        levels = range(0 if counting == "gmum" else 1, max(task.num_exits, 2))
        runs = torch.tensor([t if counting == "lgvit" else t + 1 for t in levels], dtype=torch.float64)

        def unreachable(i: int, cost: float) -> str:
            return f"patience that costs more than t={levels[i]} ({cost:.4f} of the plain backbone)"

        return mixed_levels(task, budgets, fitted, Runs(), runs.to(task.device), unreachable)
