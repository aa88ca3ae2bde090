"""One max-probability threshold for all exits (Kaya et al., Shallow-Deep Networks, ICML 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, one_threshold


@dataclass(frozen=True)
class GlobalConfig:
    """The heads."""

    heads: str = "plain"


class GlobalThreshold(Method):
    """One max-probability threshold for all exits: leave at the first exit with p_max >= t (Shallow-Deep Networks).

    This is how Zero Time Waste evaluates all its baselines. SDN leaves at p_max >= t too, but answers a sample that is
    never confident enough with its most confident exit instead of the last one: that is `caching`, sample for sample.
    The originals sweep 100 values of t in [0, 1], some of them on the test split, and ZTW leaves if p_max > t; here the
    largest t that respects the budget is found by bisection over the values that occur on val, in float64, so that
    confident samples do not tie at 1.
    """

    name: ClassVar[str] = "global_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Shallow-Deep Networks: Understanding and Mitigating Network Overthinking",
        authors="Kaya, Hong, Dumitras",
        venue="ICML",
        year=2019,
        link="https://arxiv.org/abs/1810.07052",
        family="confidence",
        basis="checked against the authors' code",
        detail="every exit, equal to the evaluation of Zero Time Waste; SDN's own code is `caching`",
    )
    Config: ClassVar[type] = GlobalConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), Pointwise(max_probability))
