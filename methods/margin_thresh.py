"""Margin threshold, the softmax measure of CALM (Schuster et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, margin, one_threshold


@dataclass(frozen=True)
class MarginConfig:
    """The heads."""

    heads: str = "plain"


class MarginThreshold(Method):
    """One threshold on the gap between the two largest probabilities: leave at the first p(1) - p(2) >= t (CALM).

    CALM chooses t by a risk-controlling test and lets it decay over the tokens of a text. A classifier has no tokens;
    here t is the largest threshold that respects the budget, found by bisection over the values that occur on val. The
    probabilities are float64: ties begin at a gap above 1 - 1e-16.
    """

    name: ClassVar[str] = "margin_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Confident Adaptive Language Modeling (CALM)",
        authors="Schuster, Fisch, Gupta, Dehghani, Bahri, Tran, Tay, Metzler",
        venue="NeurIPS",
        year=2022,
        link="https://arxiv.org/abs/2207.07061",
        family="confidence",
        basis="from the paper",
        detail="the softmax measure of confidence; a classifier has no tokens, so there is no decaying threshold",
    )
    Config: ClassVar[type] = MarginConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(margin))
