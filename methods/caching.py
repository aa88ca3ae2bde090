"""Caching of the most confident exit (Jazbec et al., Towards Anytime Classification, NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench import heads
from bench.heads.mixed import MixedHeads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.rules import Pointwise, max_probability, one_threshold


@dataclass(frozen=True)
class CachingConfig:
    """The heads."""

    heads: str = "plain"


class Caching(Method):
    """One max-probability threshold; each exit answers with the most confident exit so far (caching, Jazbec et al.).

    p_CA,k = p_j with j = argmax_{i<=k} max_c p_i(c), ties going to the earliest: the confidence never falls along the
    exits. A sample that leaves before the last exit has just passed the threshold for the first time, so it leaves with
    that exit's own prediction, exactly where `global_thresh` would let it leave. Caching changes the answer of the
    samples that reach the last exit, and what every exit would answer if inference were interrupted there. With the
    threshold it is also the complete rule of Shallow-Deep Networks (Kaya et al., ICML 2019), sample for sample, whose
    code answers never-confident samples with their most confident exit. Jazbec's is a predictor without an exit rule;
    the threshold t is solved on val. Each exit adds the C MACs of its softmax.
    """

    name: ClassVar[str] = "caching"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Towards Anytime Classification in Early-Exit Architectures by Enforcing Conditional Monotonicity",
        authors="Jazbec, Allingham, Zhang, Nalisnick",
        venue="NeurIPS",
        year=2023,
        link="https://arxiv.org/abs/2306.02652",
        family="ensemble",
        basis="checked against the authors' code",
        detail="every exit and answer, equal to the code of Shallow-Deep Networks, sample for sample",
    )
    Config: ClassVar[type] = CachingConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        cached = CachedHeads(heads.fit(self.config.heads, task), task.num_classes)
        return one_threshold(task, budgets, cached, Pointwise(max_probability))


class CachedHeads(MixedHeads):
    """Heads whose exits answer with the most confident exit so far."""

    def mix(self, answers: Tensor) -> Tensor:
        return most_confident(answers)

    def macs(self, k: int) -> int:
        return self.base.macs(k) + self.classes


def most_confident(logits: Tensor) -> Tensor:
    """Return the logits [N, C] of the exit [N, k, C] with the largest maximum probability; ties go to the earliest."""
    best = doubt(logits).argmin(1)
    return logits.gather(1, best[:, None, None].expand(-1, 1, logits.shape[-1])).squeeze(1)


def doubt(logits: Tensor) -> Tensor:
    """Return Σ exp(a_c - a_max) [...] over all classes but the best of logits [..., C]: p_max = 1 / (1 + doubt).

    It falls as p_max rises, and it still separates predictions whose p_max is 1 in floating point.
    """
    top, best = logits.max(-1, keepdim=True)
    return (logits - top).exp_().scatter_(-1, best, 0.0).sum(-1)
