"""Calibrated heads: a temperature per exit on top of any other recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.heads import fit
from bench.method import Task
from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import parse
from bench.recipe import Heads, Recipe

LOWEST, HIGHEST, HALVINGS = 0.02, 50.0, 40  # range of the temperature, and bisection steps


@dataclass(frozen=True)
class CalibratedConfig:
    """The heads to calibrate."""

    base: str = "plain"

    def __post_init__(self) -> None:
        spec = parse(self.base)
        configure(registry.load("heads", spec.name).Config, spec)


class CalibratedHeads(Heads):
    """Other heads, whose answer at exit k is divided by a temperature."""

    temperatures: Tensor

    def __init__(self, base: Heads, temperatures: Tensor, classes: int) -> None:
        super().__init__()
        self.base, self.classes = base, classes
        self.needs_previous = base.needs_previous
        self.register_buffer("temperatures", temperatures)

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.base(k, features, previous)

    def combine(self, k: int, logits: Tensor) -> Tensor:
        return self.base.combine(k, logits) / self.temperatures[k]

    def macs(self, k: int) -> int:
        """Count the cost of the base heads, and C for the division, which the final exit has too."""
        return self.base.macs(k) + self.classes


class Calibrated(Recipe):
    """Temperature scaling (Guo et al., ICML 2017) of every exit, the final one included, on another recipe's answers.

    T_k minimises the NLL of softmax(answer_k / T_k) on val, found to rounding because it is convex in 1/T. The rankings
    of classes, and of samples within an exit by their margin of logits, do not change; the comparison of exits does,
    and so does any rule with one threshold for all of them. T is bounded to 0.02 … 50, which matters if an exit is
    always right.
    """

    name: ClassVar[str] = "calibrated"
    Config: ClassVar[type] = CalibratedConfig

    def fit(self, task: Task) -> CalibratedHeads:
        """Return the base recipe's heads of this task with a temperature per exit fitted on task.val."""
        base = fit(self.config.base, task)
        answers = base.logits(task.val)
        return CalibratedHeads(base, temperatures(answers, task.val.labels).to(answers), task.num_classes)


def temperatures(logits: Tensor, labels: Tensor) -> Tensor:
    """Return per exit the T [K] with the lowest NLL of softmax(logits [N, K, C] / T), float64; 1 if T does not matter.

    With β = 1/T the derivative E[E_p z - z_y] grows with β, so its sign change is bisected, on a logarithmic scale.
    """
    z = logits.double().transpose(0, 1)
    correct = z.gather(-1, labels.expand(len(z), -1)[..., None]).squeeze(-1).mean(1)
    low = torch.full_like(correct, 1 / HIGHEST).log()
    high = torch.full_like(correct, 1 / LOWEST).log()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        scaled = z * middle.exp()[:, None, None]
        slope = (scaled.softmax(-1) * z).sum(-1).mean(1) - correct
        low, high = torch.where(slope <= 0, middle, low), torch.where(slope > 0, middle, high)
    flat = (z == z[..., :1]).flatten(1).all(1)
    return torch.where(flat, torch.ones_like(low), (-low).exp())
