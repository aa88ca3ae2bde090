"""Energy threshold: logsumexp of the logits (Liu et al., NeurIPS 2020; as an exit rule in window-based early exits)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, energy, one_threshold


@dataclass(frozen=True)
class EnergyConfig:
    """The heads."""

    heads: str = "plain"


class EnergyThreshold(Method):
    """One threshold on the energy for all exits: leave at the first exit with logsumexp(a_k) >= t (Liu et al., 2020).

    The score is minus the free energy at temperature 1, so a higher score means a more familiar input. Unlike a
    probability it shifts with a constant added to all logits of a head, which cross-entropy leaves free: one t for all
    exits uses the scales of the heads as they are. It is found by bisection over the values that occur on val.
    """

    name: ClassVar[str] = "energy_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Energy-based Out-of-distribution Detection",
        authors="Liu, Wang, Owens, Li",
        venue="NeurIPS",
        year=2020,
        link="https://arxiv.org/abs/2010.03759",
        family="confidence",
        basis="from the paper",
        detail="the score; the paper detects unfamiliar inputs and has no exits",
    )
    Config: ClassVar[type] = EnergyConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(energy))
