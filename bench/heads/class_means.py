"""Class-mean heads: an exit answers by the distances of its features to the classes' means (E²CM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.heads.calibrated import temperatures
from bench.heads.layers import CHUNK
from bench.method import ExitData, Task
from bench.recipe import Heads, Recipe, linear_macs

ABSENT = 50.0  # nats of a class without train samples below the least likely of the others


@dataclass(frozen=True)
class ClassMeansConfig:
    """Whether the distances of each exit are scaled to fit val."""

    temperature: Literal["val", "one"] = "val"


class MeanHeads(Heads):
    """Per exit, logits -d_c / (s_c T): d_c the distance to the mean of class c, s_c its mean on train."""

    def __init__(self, means: Sequence[Tensor], scales: Sequence[Tensor], absent: Tensor) -> None:
        """Take means [C, D_k] and scales [C] of every intermediate exit, and absent [C]: classes without samples."""
        super().__init__()
        self.exits = len(means)
        self.absent: Tensor
        self.temperatures: Tensor
        self.register_buffer("absent", absent)
        self.register_buffer("temperatures", torch.ones(len(means), dtype=torch.float64, device=absent.device))
        for k, (mean, scale) in enumerate(zip(means, scales, strict=True)):
            self.register_buffer(f"mean{k}", mean)
            self.register_buffer(f"scale{k}", scale)

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        if k == self.exits:
            return features
        z = -distances(features, getattr(self, f"mean{k}")) / getattr(self, f"scale{k}") / self.temperatures[k]
        lowest = z.masked_fill(self.absent, torch.inf).amin(-1, keepdim=True)
        return torch.where(self.absent, lowest - ABSENT, z).to(torch.promote_types(features.dtype, torch.float32))

    def macs(self, k: int) -> int:
        """Count the products with the means, the square of the features, and the division by the scale."""
        if k == self.exits:
            return 0
        classes, width = getattr(self, f"mean{k}").shape
        return linear_macs(width, classes) + width + classes


class ClassMeans(Recipe):
    """Distances to class means (E²CM, Görmez, Dasari & Koyuncu, IJCNN 2022): no gradient, one pass over train.

    Exit k answers with logits -d_c / s_c, where d_c is the Euclidean distance of its features to their mean over the
    train samples of class c, and s_c is the mean of d_c over all of train. Their softmax is nearly even where there are
    many classes, so by default each exit's logits are divided by the temperature with the lowest val NLL, which makes
    exits comparable; `temperature=one` leaves that out, as the paper does.

    Source: https://arxiv.org/abs/2103.01148. A class without train samples is never predicted. The original takes the
    flattened feature maps of a layer; here features are what every head sees, pooled.
    """

    name: ClassVar[str] = "class_means"
    Config: ClassVar[type] = ClassMeansConfig

    def fit(self, task: Task) -> MeanHeads:
        """Average the features of task.train by class; fit temperatures on task.val."""
        count = torch.bincount(task.train.labels, minlength=task.num_classes)
        means = [class_means(task.train, k, count) for k in range(len(task.train.features))]
        scales = [mean_distances(task.train, k, mean) for k, mean in enumerate(means)]
        fitted = MeanHeads(means, scales, count == 0)
        if self.config.temperature == "val" and means:
            fitted.temperatures.copy_(temperatures(fitted.logits(task.val)[:, :-1], task.val.labels))
        return fitted


def class_means(data: ExitData, k: int, count: Tensor) -> Tensor:
    """Return the mean features of exit k by class, float64 [C, D_k], given each class's number of samples [C]."""
    total = torch.zeros(len(count), data.features[k].shape[1], dtype=torch.float64, device=count.device)
    for rows in _parts(data):
        total.index_add_(0, data.labels[rows], data.batch(k, rows).double())
    return total / count.clamp_min(1)[:, None]


def mean_distances(data: ExitData, k: int, means: Tensor) -> Tensor:
    """Return the mean distance [C] of all samples to the mean of each class; 1 if it is 0."""
    total = sum((distances(data.batch(k, rows), means).sum(0) for rows in _parts(data)), means.new_zeros(len(means)))
    mean = total / max(1, len(data))
    return torch.where(mean > 1e-9, mean, torch.ones_like(mean))


def distances(features: Tensor, means: Tensor) -> Tensor:
    """Return the Euclidean distances [N, C] of features [N, D] to means [C, D], in float64."""
    x = features.double()
    squares = x.square().sum(-1, keepdim=True) + means.square().sum(-1) - 2 * (x @ means.T)
    return squares.clamp_min(0).sqrt()


def _parts(data: ExitData) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, len(data), CHUNK)]
