"""Entropy threshold (Teerapittayanon et al., BranchyNet, ICPR 2016; Xin et al., DeeBERT, ACL 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, negative_entropy, one_threshold


@dataclass(frozen=True)
class EntropyConfig:
    """The heads."""

    heads: str = "plain"


class EntropyThreshold(Method):
    """One entropy threshold for all exits: leave at the first exit whose entropy is at most t (BranchyNet, DeeBERT).

    Entropy is in nats, as in DeeBERT. The originals search t on a grid; here the largest t that respects the budget is
    found by bisection over the values that occur on val.
    """

    name: ClassVar[str] = "entropy_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="BranchyNet: Fast Inference via Early Exiting from Deep Neural Networks",
        authors="Teerapittayanon, McDanel, Kung",
        venue="ICPR",
        year=2016,
        link="https://arxiv.org/abs/1709.01686",
        family="confidence",
        basis="from the paper",
        detail="the entropy rule; one threshold for all exits, solved on val instead of screened over a grid",
    )
    Config: ClassVar[type] = EntropyConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(
            task, budgets, heads.fit(self.config.heads, task), Pointwise(negative_entropy, per_class=2)
        )
