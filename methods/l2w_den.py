"""L2W-DEN: heads trained on weighted samples, with quota thresholds (Han, Pu et al., ECCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, quota_policies


@dataclass(frozen=True)
class L2WDENConfig:
    """The weighted heads, e.g. l2w[centring=col,eps=0.8]."""

    heads: str = "l2w"


class L2WDEN(Method):
    """Learning to weight samples for early exits, with MSDNet's quotas (Han, Pu et al., L2W-DEN, ECCV 2022).

    Heads minimise Σ_k mean_i w_ik CE_ik, with weights from a net that is trained, by a gradient through a step of the
    heads, to lower the loss of samples at the exit where they leave (`l2w`). A sample leaves at the first k with max
    p_k >= T_k; the thresholds solve geometric quotas, and each budget uses the ratio with the largest val cost that
    fits it.

    Repaired: thresholds are solved on val. The released code solves them on its train loader, on which heads are more
    confident than on new samples: such thresholds are too high, and samples that should leave early continue past the
    budget. Difference: the ratios are 257 log-spaced ones from 1/32 to 32 and the two extremes.
    """

    name: ClassVar[str] = "l2w_den"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Learning to Weight Samples for Dynamic Early-exiting Networks (L2W-DEN)",
        authors="Han, Pu, Lai, Wang, Song, Cao, Huang, Deng, Huang",
        venue="ECCV",
        year=2022,
        link="https://arxiv.org/abs/2209.08310",
        family="heads",
        basis="checked against the authors' code",
        detail="weight net and assignment to exits, equal to rounding; the meta objective follows the release; AdamW "
        "and one step a batch are ours",
    )
    Config: ClassVar[type] = L2WDENConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Solve the thresholds of all ratios on val at once, then select one ratio per budget."""
        return quota_policies(task, budgets, heads.fit(self.config.heads, task), Pointwise(max_probability))
