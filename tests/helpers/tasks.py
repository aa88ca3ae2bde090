"""A made-up task with known structure: exits that see the class through less and less noise."""

from __future__ import annotations

import torch

from bench.heads.plain import PlainConfig
from bench.method import ExitData, Task
from bench.recipe import Heads
from bench.rules import Score, ThresholdPolicy


def make_split(n: int, *, exits: int, classes: int, dims: int, seed: int) -> ExitData:
    """Draw n samples: at exit k the class mean plus noise that shrinks with k and grows with difficulty."""
    means = torch.randn(exits, classes, dims, generator=torch.Generator().manual_seed(1234))
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    difficulty = 0.5 + 2.5 * torch.rand(n, 1, generator=g)
    noise = torch.linspace(2.2, 0.9, exits)
    seen = [means[k, labels] + noise[k] * difficulty * torch.randn(n, dims, generator=g) for k in range(exits)]
    final = seen[-1] @ means[-1].T - means[-1].square().sum(-1) / 2
    return ExitData(tuple(seen[:-1]), final / 4, labels)


def make_task(
    n: int = 600, *, exits: int = 5, classes: int = 6, dims: int = 12, seed: int = 0, val: int | None = None
) -> Task:
    """Build a task of n training and `val` (default n) validation samples."""
    sizes = {"train": n, "val": n if val is None else val}
    parts = {
        name: make_split(size, exits=exits, classes=classes, dims=dims, seed=10 * seed + i)
        for i, (name, size) in enumerate(sizes.items())
    }
    macs = tuple(100_000 * (k + 1) for k in range(exits))
    return Task(**parts, macs=macs, num_classes=classes, seed=seed, device=torch.device("cpu"))


class GivenHeads(Heads):
    """Heads whose logits are the features themselves, at no cost."""

    def forward(self, k, features, previous):
        return features

    def macs(self, k):
        return 0


def given_task(logits: torch.Tensor, labels: torch.Tensor, *, macs: tuple[int, ...] | None = None) -> Task:
    """Build a task in which exit k answers logits[:, k] of [N, K, C], on train and val alike.

    Without macs, each exit costs 1,000,000.
    """
    data = ExitData(tuple(logits[:, :-1].unbind(1)), logits[:, -1], labels)
    exits, classes = logits.shape[1:]
    macs = macs or tuple(1_000_000 * (k + 1) for k in range(exits))
    task = Task(data, data, macs, classes, 0, torch.device("cpu"))
    task.shared_cache["heads", "plain", PlainConfig()] = GivenHeads()
    return task


def level_policy(score: Score, level: float, exits: int, classes: int) -> ThresholdPolicy:
    """The policy that leaves where a score is at least one level, the same for all exits."""
    return ThresholdPolicy(GivenHeads(), score, torch.full((exits,), level, dtype=torch.float64), classes)
