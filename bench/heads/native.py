"""The heads that a network was trained with, as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from bench.errors import UserError
from bench.heads.layers import LayerHeads
from bench.method import NativeHead, Task
from bench.recipe import Recipe


@dataclass(frozen=True)
class NativeConfig:
    """No parameters."""


class NativeHeads(LayerHeads):
    """A network's own head at every intermediate exit; one whose features are already the logits costs nothing."""

    def __init__(self, heads: Sequence[NativeHead]) -> None:
        super().__init__([nn.Identity() if head is None else _linear(*head) for head in heads])


class Native(Recipe):
    """The heads that the network itself was trained with, end to end, at the cost of their last layer.

    Nothing is fitted. The features of an exit are the inputs of its last layer, so everything that the network computes
    between its trunk and that layer is part of the cost of reaching the exit.
    """

    name: ClassVar[str] = "native"
    Config: ClassVar[type] = NativeConfig

    def fit(self, task: Task) -> NativeHeads:
        """Return the network's heads. Raises UserError if it has none for these classes."""
        if task.native is None:
            raise UserError(
                "This network has no heads of its own for these classes. Give another recipe (heads=plain), or a "
                "network trained with exits: `bench finetune --exits joint` makes one."
            )
        return NativeHeads(task.native)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    layer.weight.data.copy_(weight)
    layer.bias.data.copy_(bias)
    return layer.requires_grad_(False)
