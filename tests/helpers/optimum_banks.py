"""Four made-up banks of four exits on which the best rule is known; heads repeat the features.

Exits cost 1/4, 1/2, 3/4 and 1. A prediction with confidence p has one large logit, the others are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.method import ExitData, Task
from tests.helpers.tasks import given_task

CLASSES, EXITS = 6, 4


@dataclass(frozen=True)
class KnownBank:
    """A bank, the budget at which its best rule is asked for, and the accuracy that a method must reach to solve it."""

    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]  # n samples → logits [n, K, C] and labels [n]
    budget: float
    accuracy: float

    def task(self, n: int = 1000, seed: int = 0) -> Task:
        """Return the task, its train and val splits drawn separately."""
        task, train = given_task(*self._draw(n, 2 * seed)), self.data(n, 2 * seed + 1)
        return replace(task, train=train)

    def data(self, n: int, seed: int) -> ExitData:
        """Return n samples as a split."""
        logits, labels = self._draw(n, seed)
        return ExitData(tuple(logits[:, :-1].unbind(1)), logits[:, -1], labels)

    def _draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        return self.draw(n, torch.Generator().manual_seed(100 + seed))


def answers(said: Tensor, confidence: Tensor) -> Tensor:
    """Return logits [n, K, C] that predict `said` [n, K] with these largest probabilities [n, K]."""
    logits = torch.zeros(*said.shape, CLASSES)
    height = (confidence * (CLASSES - 1) / (1 - confidence)).log()
    return logits.scatter(-1, said[..., None], height[..., None])


def between(low: float, high: float, shape: tuple[int, ...], g: torch.Generator) -> Tensor:
    """Return numbers drawn evenly between two."""
    return low + (high - low) * torch.rand(shape, generator=g)


def other_than(labels: Tensor, exits: int, g: torch.Generator) -> Tensor:
    """Return classes [n, exits] that are not the label's."""
    return (labels[:, None] + torch.randint(1, CLASSES, (len(labels), exits), generator=g)) % CLASSES


def visible(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """An exit is right exactly when it is confident: 56, 24 and 14 % from exits 1, 2 and 3 on, .7 % never."""
    labels = torch.randint(CLASSES, (n,), generator=g)
    u = torch.rand(n, 1, generator=g)
    right = u < torch.tensor([0.56, 0.80, 0.94, 0.993])
    sure, unsure = between(0.85, 0.99, (n, EXITS), g), between(0.25, 0.45, (n, EXITS), g)
    said = torch.where(right, labels[:, None], other_than(labels, EXITS, g))
    return answers(said, torch.where(right, sure, unsure)), labels


def futile(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Exit 1 is right and sure for 60 %; the others have a top probability of .5, and half of them stay wrong for ever.

    Those have no second guess; the mendable ones have one almost as large as the first, and are right from exit 2 on.
    """
    labels = torch.randint(CLASSES, (n,), generator=g)
    u = torch.rand(n, 1, generator=g)
    easy, hopeless = u < 0.6, u >= 0.8
    said = torch.where(hopeless | (~easy & (torch.arange(EXITS) == 0)), other_than(labels, 1, g), labels[:, None])
    sure, level = between(0.9, 0.99, (n, EXITS), g), between(0.48, 0.52, (n, 1), g)
    logits = answers(said, torch.where(said == labels[:, None], sure, level))
    doubtful = (~easy & ~hopeless).squeeze(1)
    first, second = said[doubtful, 0], labels[doubtful]
    p = torch.full((len(first), CLASSES), 0.05 / (CLASSES - 2))
    p.scatter_(1, first[:, None], level[doubtful]).scatter_(1, second[:, None], 0.45)
    logits[doubtful, 0] = p.log() - p.log().amin(1, keepdim=True)
    return logits, labels


def miscalibrated(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Exit 1 is always sure and right for 30 %; the later ones are less sure and right for 98 %."""
    labels = torch.randint(CLASSES, (n,), generator=g)
    right = torch.rand(n, 2, generator=g) < torch.tensor([0.3, 0.98])
    said = torch.where(right, labels[:, None], other_than(labels, 2, g))
    confidence = torch.cat([between(0.95, 0.99, (n, 1), g), between(0.6, 0.8, (n, 3), g)], 1)
    return answers(said[:, [0, 1, 1, 1]], confidence), labels


def agreement(n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Confidences say nothing. Exits 1 and 2 agree on 85 % and are right; else both are wrong, and exit 3 is right."""
    labels = torch.randint(CLASSES, (n,), generator=g)
    agree = torch.rand(n, 1, generator=g) < 0.85
    wrong = other_than(labels, 1, g)
    another = (wrong + 1) % CLASSES
    another = torch.where(another == labels[:, None], (another + 1) % CLASSES, another)
    early = torch.where(agree, labels[:, None], torch.cat([wrong, another], 1))
    said = torch.cat([early, labels[:, None].expand(-1, 2)], 1)
    slips = torch.rand(n, 1, generator=g) < 0.01  # for good, at all exits
    said = torch.where(slips, (said + 1) % CLASSES, said)
    return answers(said, between(0.55, 0.65, (n, EXITS), g)), labels


BANKS = {
    "visible": KnownBank(visible, 0.43, 0.985),
    "futile": KnownBank(futile, 0.31, 0.78),
    "miscalibrated": KnownBank(miscalibrated, 0.52, 0.96),
    "agreement": KnownBank(agreement, 0.585, 0.97),
}
