"""Anytime product of experts (Jazbec et al., Towards Anytime Classification, NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import heads
from bench.heads.mixed import MixedHeads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.recipe import Heads
from bench.rules import Pointwise, max_probability, one_threshold

NEVER = -1e4  # log-probability of a zeroed class: its softmax is exactly 0, and metrics want finite logits
TIE = 1e-9  # of probability, added by rank of the product if a single class is left and all samples are certain


@dataclass(frozen=True)
class PoEConfig:
    """The heads, and how their logits become the factors of the product."""

    heads: str = "plain"
    activation: Literal["softplus", "relu"] = tunable("softplus")
    centre: bool = tunable(True)


class AnytimePoE(Method):
    """One max-probability threshold on the product of all exits so far (anytime product of experts, Jazbec et al.).

    Exit k = 1…K answers p_k(c) ∝ Π_{j<=k} act(a_j(c))^{j/K}. The authors' code has both activations. `softplus` (our
    default) never rules a class out. With `relu`, a class whose logit is not positive at some exit is ruled out for
    good, which makes later answers conditionally monotone; if no class is left, exit k answers softmax(a_k). On frozen
    networks one weak early head then excludes right answers for good: `relu` stays below a random mixture of static
    exits on all our settings. Heads trained with cross-entropy have arbitrary offsets, so this implementation subtracts
    each sample's mean logit first (`centre=false` for heads whose zero has a meaning; the authors fine-tune heads with
    the product's loss instead). The frozen head is the last expert. A sample leaves at the first exit with p_max
    >= t, t solved on val; samples with one class left tie at p_max = 1 and leave in the order of that class's product.
    Exit k costs k·C MACs, the weighted sum of its log-factors.
    """

    name: ClassVar[str] = "anytime_poe"
    version: ClassVar[int] = 2
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Towards Anytime Classification in Early-Exit Architectures by Enforcing Conditional Monotonicity",
        authors="Jazbec, Allingham, Zhang, Nalisnick",
        venue="NeurIPS",
        year=2023,
        link="https://arxiv.org/abs/2306.02652",
        family="ensemble",
        basis="checked against the authors' code",
        detail="the product of both activations, equal to rounding; centred logits and the exit rule are ours",
    )
    Config: ClassVar[type] = PoEConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold on the product's confidence with the largest val cost that fits it."""
        fitted = heads.fit(self.config.heads, task)
        mixed = ProductHeads(fitted, task.num_exits, task.num_classes, self.config.activation, self.config.centre)
        return one_threshold(task, budgets, mixed, Pointwise(product_confidence))


class ProductHeads(MixedHeads):
    """Heads whose exits answer the product of all exits so far."""

    def __init__(self, base: Heads, exits: int, classes: int, activation: str, centre: bool) -> None:
        super().__init__(base, classes)
        self.exits, self.activation, self.centre = exits, activation, centre

    def mix(self, answers: Tensor) -> Tensor:
        return product(answers, self.exits, self.activation, self.centre)

    def macs(self, k: int) -> int:
        return self.base.macs(k) + (k + 1) * self.classes


def product(logits: Tensor, exits: int, activation: str = "softplus", centre: bool = True) -> Tensor:
    """Return the unnormalised log of the product of experts [N, C] from logits [N, k, C] of exits 1 … k out of `exits`.

    Zeroed classes get NEVER; a sample with no class left gets the log-softmax of exit k.
    """
    total = torch.zeros_like(logits[:, 0])
    out = torch.zeros_like(total, dtype=torch.bool)
    for j, a in enumerate(logits.unbind(1), 1):
        factors = a - a.mean(-1, keepdim=True) if centre else a
        out |= factors <= 0
        total = total.add(log_factors(factors, activation), alpha=j / exits)
    if activation == "softplus":
        return total
    own = logits[:, -1].log_softmax(-1).clamp_min(NEVER)
    return torch.where(out.all(-1, keepdim=True), own, total.masked_fill(out, NEVER))


def log_factors(logits: Tensor, activation: str) -> Tensor:
    """Return the logarithm of max(logits, 0) or of softplus(logits), finite even if these are 0."""
    tiny = torch.finfo(logits.dtype).tiny
    if activation == "relu":
        return logits.clamp_min(tiny).log()
    softplus = logits.clamp_min(0) + logits.abs().neg().exp().log1p()
    return torch.where(logits < -20, logits, softplus.clamp_min(tiny).log())


def product_confidence(logits: Tensor) -> Tensor:
    """Return the largest probability [...] of the product [..., C]; ties at 1 are ranked by the product itself."""
    return max_probability(logits) + TIE * logits.amax(-1).double().sigmoid()
