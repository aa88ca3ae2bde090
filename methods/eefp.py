"""Exit scores that predict when continuing is futile (Kubaty et al., EEFP, arXiv 2508.21495)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench import heads
from bench.exits import right_later
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import logistic, one_threshold
from bench.rules.states import StateScore, states


@dataclass(frozen=True)
class EEFPConfig:
    """The heads, how many of the largest probabilities the score sees, and its ridge penalty."""

    heads: str = "plain"
    top: int = tunable(5, 2, 10)
    ridge: float = tunable(1e-3, 1e-5, 1e-1, log=True)

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError(f"top={self.top} must be at least 1: the score needs a probability")
        if self.ridge <= 0:
            raise ValueError(f"ridge={self.ridge:g} leaves scores of separable samples infinite; give more than 0")


class EEFP(Method):
    """Leave if the answer is right or no later exit is: a score fitted to that target, one threshold (EEFP).

    g_k = 1[exit k correct, or exits k+1 … K-1 all wrong]: continuing could not help. Per exit a logistic regression of
    g_k on the state of `bench.rules.states` (top probabilities, entropy, margin, agreement with earlier exits, largest
    confidence so far) is fitted on val by Newton's method, all exits at once; its log-odds are the score, and a sample
    leaves at the first exit where the score reaches t. For a budget, t is the largest threshold whose val cost fits it.

    The target is stated in the paper's summary; the form of the score is our assumption, because the paper asks for a
    light replacement of the calibration step. The loss is unweighted, so that log-odds of different exits are
    comparable. With about ten coefficients per exit, fitting and thresholding both use all of val.
    """

    name: ClassVar[str] = "eefp"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Rethinking Calibration for Early-Exit Neural Networks (EEFP)",
        authors="Kubaty, Szatkowski, Jazbec, Wójcik",
        venue="ICML",
        year=2026,
        link="https://arxiv.org/abs/2508.21495",
        family="calibrated",
        basis="assumed in part",
        detail="the target is the paper's; the form of the score and its loss are assumed, and the authors' code "
        "could not be read",
    )
    Config: ClassVar[type] = EEFPConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Fit the scores of all exits on val, then find the threshold for every budget."""
        c = self.config
        fitted = heads.fit(c.heads, task)
        logits = fitted.logits(task.val)
        target = futility(logits.argmax(-1) == task.val.labels[:, None]).double()
        inputs = states(logits, c.top)
        weight, bias = logistic.solve(inputs, target[None], torch.ones_like(target[:1]), ridge=c.ridge)
        score = StateScore(weight[0], bias[0], c.top)
        return one_threshold(task, budgets, fitted, score)


def futility(correct: Tensor) -> Tensor:
    """Return g, bool [N, K-1], from bool correct [N, K]: this exit is right, or all later exits are wrong."""
    return correct[:, :-1] | ~right_later(correct)
