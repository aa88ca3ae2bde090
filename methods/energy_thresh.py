"""Energy threshold: logsumexp of the logits (Liu et al., NeurIPS 2020; as an exit rule in window-based early exits)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Infeasible, Method, Policy, Task
from bench.rules import Pointwise, energy, one_threshold


@dataclass(frozen=True)
class EnergyConfig:
    """Which heads."""

    heads: str = "plain"


class EnergyThreshold(Method):
    """One threshold on the energy for all exits: leave at the first exit with logsumexp(a_k) >= t (Liu et al., 2020).

    The score is minus the free energy at temperature 1, so higher is more familiar. Unlike a probability it moves with
    a constant added to all logits of a head, which cross-entropy leaves free: one t for all exits takes the heads'
    scales as they are. Found by bisection over the values that occur on val.
    """

    name: ClassVar[str] = "energy_thresh"
    Config: ClassVar[type] = EnergyConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold of largest val cost within it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(energy))
