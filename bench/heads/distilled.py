"""Distilled heads: every exit imitates the backbone's own frozen head (FastBERT; LGViT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench.heads.layers import LayerHeads, LinearHeads, Net
from bench.heads.training import TrainingConfig, by_autograd, nll, start, train
from bench.method import ExitData, Task
from bench.plugins.params import tunable
from bench.recipe import Recipe


@dataclass(frozen=True)
class DistilledConfig(TrainingConfig):
    """The temperature of both distributions, and the share of the loss that uses labels."""

    temperature: float = tunable(1.0, 1.0, 8.0, log=True)
    labels: float = tunable(0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise ValueError("temperature must be positive.")
        if not 0 <= self.labels <= 1:
            raise ValueError("labels, the share of the loss that uses labels, must be between 0 and 1.")


class Distilled(Recipe):
    """Self-distillation (Liu et al., FastBERT, ACL 2020): heads imitate the frozen final exit.

    With teacher t and student s at temperature T, the loss of an exit is (1 - labels)·T²·KL(t ‖ s) + labels·CE(s, y),
    and each head keeps its epoch with the lowest loss on val. FastBERT's stage 2 is the default, T = 1 and no labels:
    then labels are not used, on val either. LGViT mixes KL at T = 2 (its weight .3) with labels. KL(t ‖ s) is what
    FastBERT's code minimises; its paper writes the arguments the other way round.
    """

    name: ClassVar[str] = "distilled"
    Config: ClassVar[type] = DistilledConfig

    def fit(self, task: Task) -> LayerHeads:
        """Train one head per intermediate exit towards the final logits of task.train."""
        if not task.train.features:
            return LinearHeads([])
        c = self.config
        net = Net(task.train, task.num_classes, c.width, start(task))
        soft = self._soft(task.train)
        soft_val = self._soft(task.val)

        def loss(logits: Tensor, rows: Tensor) -> Tensor:
            return self._loss(logits, soft[rows], task.train.labels[rows]).sum()

        def score(logits: Tensor) -> Tensor:
            return self._loss(logits, soft_val, task.val.labels)

        return net.heads(train(task, net, c, by_autograd(loss), score))

    def _soft(self, data: ExitData) -> Tensor:
        return (data.final_logits / self.config.temperature).softmax(-1)

    def _loss(self, logits: Tensor, soft: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss [E] of logits [E, B, C], up to the teacher's entropy, which no head can change."""
        t, share = self.config.temperature, self.config.labels
        loss = -t * t * (1 - share) * (soft * (logits / t).log_softmax(-1)).sum(-1).mean(1)
        return loss + share * nll(logits, labels).mean(1) if share else loss
