"""Plain heads: one classifier per intermediate exit, trained with summed cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bench.heads.layers import LayerHeads, LinearHeads, Net, fold, standardiser
from bench.heads.training import TrainingConfig, nll, nll_gradient, start, train
from bench.method import Task
from bench.recipe import Recipe

__all__ = ["LinearHeads", "Plain", "PlainConfig", "fold", "standardiser"]


@dataclass(frozen=True)
class PlainConfig(TrainingConfig):
    """TrainingConfig and width of the plain heads."""


class Plain(Recipe):
    """Summed cross-entropy (SDN, DeeBERT stage 2): independently trained heads.

    The backbone is frozen, so the heads do not influence each other and the sum trains each independently; each keeps
    its epoch with the lowest val NLL. Inputs are standardised with the train split's statistics; AdamW, cosine decay to
    zero, a new batch order per epoch.
    """

    name: ClassVar[str] = "plain"
    Config: ClassVar[type] = PlainConfig

    def fit(self, task: Task) -> LayerHeads:
        """Train one head per intermediate exit on task.train; select its epoch on task.val."""
        if not task.train.features:
            return LinearHeads([])
        net = Net(task.train, task.num_classes, self.config.width, start(task))

        def gradient(logits: Tensor, rows: Tensor) -> Tensor:
            return nll_gradient(logits, task.train.labels[rows])

        def score(logits: Tensor) -> Tensor:
            return nll(logits, task.val.labels).mean(1)

        return net.heads(train(task, net, self.config, gradient, score))
