"""Prior-adjusted heads: another recipe's answers minus the log class frequencies of train, for long tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.heads import fit
from bench.method import Task
from bench.plugins import registry
from bench.plugins.params import configure, tunable
from bench.plugins.spec import parse
from bench.recipe import Heads, Recipe

MOST, HALVINGS = 2.0, 40  # largest multiple of the log-prior to subtract, and bisection steps


@dataclass(frozen=True)
class PriorAdjustedConfig:
    """The heads to adjust, and how much of the log-prior to subtract: what fits val best at each exit, or all of it."""

    base: str = "plain"
    tau: Literal["val", "one"] = tunable("val")

    def __post_init__(self) -> None:
        spec = parse(self.base)
        configure(registry.load("heads", spec.name).Config, spec)


class PriorAdjustedHeads(Heads):
    """Other heads, with shift[k] [C] subtracted from the answer at exit k."""

    shift: Tensor

    def __init__(self, base: Heads, shift: Tensor) -> None:
        super().__init__()
        self.base = base
        self.needs_previous = base.needs_previous
        self.register_buffer("shift", shift)

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.base(k, features, previous)

    def combine(self, k: int, logits: Tensor) -> Tensor:
        answer = self.base.combine(k, logits)
        return answer - self.shift[k].to(answer.dtype)

    def macs(self, k: int) -> int:
        """Count the cost of the base heads: subtracting a constant is not a multiplication."""
        return self.base.macs(k)


class PriorAdjusted(Recipe):
    """Logit adjustment (Menon et al., ICLR 2021) of every exit's answer, the final one included: a - τ_k·log π.

    π are the class frequencies of the train split. Heads fitted by cross-entropy learn them as a prior, which is wrong
    where val and test are balanced; with τ = 1 (`tau=one`, the paper's) the adjusted answer of a head that has learned
    them fully is the posterior under even classes. Ours have not: each keeps the epoch with the lowest NLL on val,
    which is balanced, and the frozen head may be trained on other data. So by default τ_k, 0 … 2, has the lowest val
    NLL, found to rounding because that is convex in τ. A class without train samples counts as one sample. If train is
    balanced, nothing changes.

    Source: https://arxiv.org/abs/2007.07314, its post-hoc form.
    """

    name: ClassVar[str] = "prior_adjusted"
    Config: ClassVar[type] = PriorAdjustedConfig

    def fit(self, task: Task) -> PriorAdjustedHeads:
        """Return the base recipe's heads of this task minus τ_k·log π of task.train, with τ_k fitted on task.val."""
        base = fit(self.config.base, task)
        count = torch.bincount(task.train.labels, minlength=task.num_classes).clamp_min(1).double()
        prior = (count / count.mean()).log()
        answers = base.logits(task.val)
        tau = shares(answers, task.val.labels, prior) if self.config.tau == "val" else prior.new_ones(answers.shape[1])
        return PriorAdjustedHeads(base, tau[:, None] * prior)


def shares(logits: Tensor, labels: Tensor, prior: Tensor) -> Tensor:
    """Return per exit the τ [K] in 0 … 2 with the lowest NLL of softmax(logits [N, K, C] - τ·prior [C]), float64.

    The derivative E[prior_y - E_p prior] grows with τ, so its sign change is bisected.
    """
    z, wanted = logits.double().transpose(0, 1), prior[labels].mean()
    low = z.new_zeros(len(z))
    high = torch.full_like(low, MOST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = ((z - middle[:, None, None] * prior).softmax(-1) * prior).sum(-1).mean(1)
        low, high = torch.where(found > wanted, middle, low), torch.where(found > wanted, high, middle)
    return (low + high) / 2
