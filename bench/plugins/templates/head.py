"""The files of a new head recipe."""

from __future__ import annotations

from string import Template

SOURCE = Template('''\
"""Heads by least squares, in closed form. Replace the training with your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from bench.method import ExitData, Task
from bench.plugins.params import tunable
from bench.recipe import BATCH, Heads, Recipe, linear_macs
from torch import Tensor, nn
from torch.nn.functional import one_hot


@dataclass(frozen=True)
class ${cls}Config:
    """The parameters, as in `$name[ridge=0.1]`: frozen, each with a type and a default."""

    ridge: float = tunable(0.01, 1e-4, 10.0, log=True)  # `tunable`: a search may vary it within this range
    scale: float = 6.0  # of the logits; `calibrated[base=$name]` fits it on val

    def __post_init__(self) -> None:
        if not self.ridge > 0:
            raise ValueError(f"ridge={self.ridge} must be a number above 0")  # the user reads this sentence


class FittedHeads(Heads):
    """A linear layer at every intermediate exit. These heads are stored, pickled and run on single samples."""

    needs_previous = False  # True if the head of exit k reads the logits of exits < k

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        """Return logits [N, C] of exit k; for the last exit `features` are the frozen head's logits."""
        return self.layers[k](features) if k < len(self.layers) else features

    def macs(self, k: int) -> int:
        """Return the multiply-accumulates per sample that exit k's head adds. Every cost is counted."""
        return linear_macs(self.layers[k].in_features, self.layers[k].out_features) if k < len(self.layers) else 0


class $cls(Recipe):
    """Ridge regression of one-hot labels on features, one exit at a time ($name).

    The first line above is the summary in `bench list`: name the paper there. Then say what is computed: the weights W
    minimise ‖XW - Y‖² + ridge·N·‖W‖² for features X with a constant column; logits are scale·XW. Finally, say how it
    differs from the paper, and why.
    """

    name: ClassVar[str] = "$name"
    # After an edit of the code all points run again, unless you state `version: ClassVar[int] = 1` here. Then records
    # are kept until you raise the version: do so when numbers may change.
    Config: ClassVar[type] = ${cls}Config

    def fit(self, task: Task) -> Heads:
        """Train on task.train; task.val may be used for early stopping. Seed all random numbers with task.seed."""
        exits = range(task.num_exits - 1)  # the last exit, the backbone's own head, stays as it is
        return FittedHeads([self._layer(task.train, k, task.num_classes) for k in exits])

    def _layer(self, train: ExitData, k: int, classes: int) -> nn.Linear:
        products, sums = 0.0, 0.0
        for rows in torch.arange(len(train)).split(BATCH):  # `batch` also reads a split that is too large for memory
            x = train.batch(k, rows).double()
            x = torch.cat([x, x.new_ones(len(x), 1)], 1)
            products = products + x.T @ x
            sums = sums + x.T @ one_hot(train.labels[rows], classes).double()
        penalty = self.config.ridge * len(train) * torch.eye(len(products), dtype=products.dtype)
        weight = self.config.scale * torch.linalg.solve(products + penalty.to(products), sums)
        layer = nn.Linear(len(weight) - 1, classes).to(train.labels.device)
        layer.weight.data, layer.bias.data = weight[:-1].T.float().contiguous(), weight[-1].float()
        return layer.requires_grad_(False)
''')

TEST = Template('''\
"""Tests of $name: the checks that every head recipe must pass, and its arithmetic on a small example."""

from __future__ import annotations

${imports}import torch
from bench.check import suite
from bench.method import ExitData

from $module import $cls, ${cls}Config

test_contract = suite($subject, kind="head")


def test_weights_solve_the_ridge_problem():
    features = torch.tensor([[1.0], [-1.0]])
    data = ExitData((features,), torch.zeros(2, 2), torch.tensor([0, 1]))
    layer = $cls(${cls}Config(ridge=0.5, scale=1.0))._layer(data, 0, 2)
    # XᵀX = diag(2, 2), ridge·N = 1, XᵀY = [[1, -1], [1, 1]]: every entry of W is ±1/3
    torch.testing.assert_close(layer.weight, torch.tensor([[1.0], [-1.0]]) / 3)
    torch.testing.assert_close(layer.bias, torch.ones(2) / 3)
''')
