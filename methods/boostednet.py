"""BoostedNet: boosted heads with quota thresholds (Yu et al., Boosted Dynamic Neural Networks, AAAI 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, quota_policies


@dataclass(frozen=True)
class BoostedNetConfig:
    """The boosted heads, e.g. boosted[rho=0.7]."""

    heads: str = "boosted"


class BoostedNet(Method):
    """Boosted heads with MSDNet's quotas on the running sums that they answer (Yu et al., BoostNet, AAAI 2023).

    Head k is trained to correct the detached sum of the heads before it, and exit k answers F_k = a_k + ρ F_{k-1}, the
    frozen final head included (`boosted`). A sample leaves at the first k with max softmax(F_k) >= T_k; the thresholds
    solve geometric quotas on val, and each budget uses the ratio with the largest val cost that fits it.

    Differences: val is held out with evaluation transforms, whereas the original draws it with training augmentation;
    the ratios are 257 log-spaced ones from 1/32 to 32 and the two extremes instead of p/20; an operating point that is
    not better on val than a cheaper one is reported as it is, whereas the original's --flat_curve replaces it.
    """

    name: ClassVar[str] = "boostednet"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Boosted Dynamic Neural Networks (BoostNet)",
        authors="Yu, Li, Hua, Huang, Shi",
        venue="AAAI",
        year=2023,
        link="https://arxiv.org/abs/2211.16726",
        family="heads",
        basis="checked against the authors' code",
        detail="running sums, losses and quotas, equal to rounding; the heads are trained with our schedule",
    )
    Config: ClassVar[type] = BoostedNetConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Solve the thresholds of all ratios on val at once, then select one ratio per budget."""
        return quota_policies(task, budgets, heads.fit(self.config.heads, task), Pointwise(max_probability))
