"""Max-probability thresholds by budgeted batch classification (Huang et al., MSDNet, ICLR 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, quota_policies


@dataclass(frozen=True)
class MSDNetConfig:
    """The heads, and how finely the quota ratio is searched."""

    heads: str = "plain"
    ratios: Literal["fine", "published"] = "fine"


class MSDNetThreshold(Method):
    """Per-exit max-probability thresholds from geometric quotas (MSDNet's budgeted batch).

    For a ratio ρ, a share q_k ∝ ρ^k of the samples should leave at exit k; thresholds T_k are solved on val exit by
    exit (`bench.budgets.quota_thresholds`), and a sample leaves at the first k with p_max >= T_k. Each budget uses the
    ratio with the largest val cost that fits it. `ratios=published` searches the 39 ratios p/20 of the original; the
    default searches 257 log-spaced ones from 1/32 to 32 and the two extremes, so that budgets are met more closely.

    Differences: val is held out with evaluation transforms, and quotas cover all K exits.
    """

    name: ClassVar[str] = "msdnet_thresh"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Multi-Scale Dense Networks for Resource Efficient Image Classification",
        authors="Huang, Chen, Li, Wu, van der Maaten, Weinberger",
        venue="ICLR",
        year=2018,
        link="https://arxiv.org/abs/1703.09844",
        family="confidence",
        basis="checked against the authors' code",
        detail="quotas, thresholds and the whole of ratios=published, equal to rounding on the same inputs; the "
        "finer default ratios are ours",
    )
    Config: ClassVar[type] = MSDNetConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Solve the thresholds of all ratios on val at once, then select one ratio per budget."""
        published = torch.arange(1, 40, dtype=torch.float64) / 20 if self.config.ratios == "published" else None
        fitted = heads.fit(self.config.heads, task)
        return quota_policies(task, budgets, fitted, Pointwise(max_probability), published)
