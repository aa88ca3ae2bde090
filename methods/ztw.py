"""Zero Time Waste: cascaded, ensembled heads with one threshold (Wołczyk et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, one_threshold


@dataclass(frozen=True)
class ZeroTimeWasteConfig:
    """The cascaded heads, e.g. ztw[weights=softplus]."""

    heads: str = "ztw"


class ZeroTimeWaste(Method):
    """Zero Time Waste: leave at the first exit whose ensemble is confident enough (Wołczyk et al., NeurIPS 2021).

    Head k sees the features and the logits of the head before; q_k ∝ exp(b_k) Π_{j<=k} p_j^{w_kj/k} mixes all heads so
    far (`ztw`). A sample leaves at the first k with max q_k >= t, one t for all exits. The cascade's C² (C·width with
    hidden units) and the ensemble's k·C multiply-accumulates are counted.

    Differences: the original sweeps t on test; here the t with the largest val cost that fits the budget is found by
    bisection over the values that occur. The original's option to fit the ensembles on test samples is left out.
    """

    name: ClassVar[str] = "ztw"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Zero Time Waste: Recycling Predictions in Early Exit Neural Networks",
        authors="Wołczyk, Wójcik, Bałazy, Podolak, Tabor, Śmieja, Trzciński",
        venue="NeurIPS",
        year=2021,
        link="https://arxiv.org/abs/2106.05409",
        family="heads",
        basis="checked against the authors' code",
        detail="cascade, ensembles and their gradients, equal to rounding; the schedule of the training is ours",
    )
    Config: ClassVar[type] = ZeroTimeWasteConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(max_probability))
