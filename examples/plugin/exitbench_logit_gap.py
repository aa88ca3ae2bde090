"""The gap between the two best logits, with one quantile for all exits. Replace the rule with your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, many_thresholds
from torch import Tensor

POINTS = 257  # candidate operating points on val


@dataclass(frozen=True)
class LogitGapConfig:
    """The parameters, as in `logit_gap[growth=1.5]`: frozen, each with a type and a default."""

    heads: str = "plain"  # the recipe that trains the heads: any of `bench list heads`
    growth: float = tunable(1.0, 0.5, 2.0, log=True)  # `tunable`: a search may vary it within this range

    def __post_init__(self) -> None:
        if not 0 < self.growth < float("inf"):
            raise ValueError(f"growth={self.growth} must be a number above 0")  # shown to the user


class Gap(Score):
    """The best logit minus the second best; a sample leaves at the first exit whose threshold the score reaches."""

    def forward(self, k: int, logits: Tensor) -> Tensor:
        """Return the scores [N] at exit k from the logits [N, k+1, C] of exits 0 … k; later exits are not visible."""
        best = logits[:, k].double().topk(min(2, logits.shape[-1])).values
        return best[:, 0] - best[:, -1]

    def macs(self, k: int, classes: int) -> int:
        """Return the multiply-accumulates per sample that the score adds at exit k."""
        return classes


class LogitGap(Method):
    """Leave where the gap between the two best logits is among the largest at that exit (logit_gap).

    The first line above is the summary in `bench list`: name the paper there. Then define the rule: at exit k the share
    s·growth^k (at most 1) of all val samples may leave, and T_k is the smallest of their gaps; a sample leaves at the
    first k with gap >= T_k. Finally, explain how the code differs from the paper, and why.
    """

    name: ClassVar[str] = "logit_gap"
    # Every change of the code makes the method run again, unless you set `version: ClassVar[int] = 1` here. Records are
    # then kept when the code changes; raise the version when numbers may change.
    fidelity: ClassVar[Fidelity] = Fidelity(  # its source: `bench list methods logit_gap` shows it
        title="The gap between the two best logits",
        authors="your name",
        venue="unpublished",
        year=2026,
        link="",  # of the paper: https://arxiv.org/abs/… or https://doi.org/…
        family="confidence",
        basis="our own",  # or "checked against the authors' code", "from the paper", "assumed in part"
        detail="nothing is published to compare it with",  # what was compared, or what is assumed
    )
    Config: ClassVar[type] = LogitGapConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Return one policy per budget: the share s with the largest val cost that fits it.

        A method sees task.train (for heads) and task.val (for everything else), never the samples it is scored on.
        """
        fitted = heads.fit(self.config.heads, task)  # trained once per task: all methods share the result
        score = Gap()
        gaps = score.all(fitted.logits(task.val))  # [N, K-1]: the last exit, the backbone's own head, has no gate
        growth = self.config.growth ** torch.arange(gaps.shape[1], dtype=torch.float64, device=gaps.device)
        shares = torch.linspace(0, 1, POINTS, dtype=torch.float64, device=gaps.device)[:, None] * growth
        return many_thresholds(task, budgets, fitted, score, quantiles(gaps, shares.clamp_max(1)))


def quantiles(gaps: Tensor, shares: Tensor) -> Tensor:
    """Return the thresholds [P, K] that shares [P, K-1] of the gaps [N, K-1] reach; a share of 0 gives +inf."""
    ascending = torch.cat([gaps.sort(0).values, gaps.new_full((1, gaps.shape[1]), torch.inf)])
    rows = len(gaps) - (shares * len(gaps)).round().long()
    thresholds = ascending.gather(0, rows)
    return torch.cat([thresholds, thresholds.new_full((len(thresholds), 1), -torch.inf)], 1)  # all leave at the last
