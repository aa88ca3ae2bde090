"""COSEE: heads trained for the samples that leave there, one threshold on their energy (He et al., AAAI 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, one_threshold


@dataclass(frozen=True)
class COSEEConfig:
    """The heads, e.g. cosee[sharpness=0.5], and the temperature of the energy."""

    heads: str = "cosee"
    temperature: float = tunable(1.0, 0.25, 4.0, log=True)

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature:g} must be positive")


class ScaledEnergy(Score):
    """T·logsumexp(a/T) of an exit's own answer."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return scaled_energy(logits[:, k], self.temperature)

    def macs(self, k: int, classes: int) -> int:
        return 2 * classes  # the division by T, and the sum of exponentials


class COSEE(Method):
    """Sample-weighted heads with one threshold on the normalised energy (COSEE, He et al., AAAI 2025).

    The signal is E = 1 / (1 + (Σ_c exp(a_c/T))^T); a sample leaves at the first exit with E below a threshold, the same
    for all exits. E falls as T·logsumexp(a/T) rises, so the score used here is that number, which does not saturate:
    with T = 1 the rule is `energy_thresh`, and what COSEE adds is the training of the heads (recipe `cosee`): each exit
    emphasises the samples that are likely to leave near it, and energies are pushed apart by correctness. For a
    budget, the threshold is found by bisection over the values that occur on val.

    Source: https://arxiv.org/abs/2412.13236; signal and loss from the authors' code, He-Jianing/COSEE. Assumed in part:
    the weights of the loss (see the recipe). The original trains a language model end to end; here heads train on
    frozen features.
    """

    name: ClassVar[str] = "cosee"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="COSEE: Consistency-Oriented Signal-Based Early Exiting via Calibrated Sample Weighting Mechanism",
        authors="He, Zhang, Zhang, Huang, Naseem, Miao",
        venue="AAAI",
        year=2025,
        link="https://arxiv.org/abs/2412.13236",
        family="heads",
        basis="assumed in part",
        detail="signal and loss follow the authors' code, read and not run; three numbers of the loss are assumed",
    )
    Config: ClassVar[type] = COSEEConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Find for every budget the threshold with the largest val cost that fits it."""
        score = ScaledEnergy(self.config.temperature)
        return one_threshold(task, budgets, heads.fit(self.config.heads, task), score)


def scaled_energy(logits: Tensor, temperature: float) -> Tensor:
    """Return T·logsumexp(a/T) [...] of logits [..., C], in float64: log(1/E - 1) of COSEE's normalised energy E."""
    return temperature * (logits.double() / temperature).logsumexp(-1)
