"""Synthetic tasks: an ordinary one of known structure, and degenerate ones that a method must handle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.method import ExitData, Task

CLASSES = 5
WIDTHS = (6, 9, 12, 8)  # of the exits' features; the last ones are what the frozen head sees
MACS = (90_000, 180_000, 300_000, 400_000)
TRAIN, VAL, UNSEEN = 200, 160, 120  # samples; different numbers, so that splits cannot be confused


def split(
    n: int, seed: int, *, classes: int = CLASSES, widths: Sequence[int] = WIDTHS, present: int | None = None
) -> ExitData:
    """Draw n samples of the first `present` classes: class means with noise that decreases along the exits."""
    world, g = torch.Generator().manual_seed(20), torch.Generator().manual_seed(seed)
    labels = torch.randint(present or classes, (n,), generator=g)
    effort = 0.4 + 2.4 * torch.rand(n, 1, generator=g)
    seen = []
    for width, noise in zip(widths, torch.linspace(2.4, 0.8, len(widths)), strict=True):
        means = torch.randn(classes, width, generator=world)
        seen.append(means[labels] + noise * effort * torch.randn(n, width, generator=g))
    final = seen[-1] @ means.T - means.square().sum(-1) / 2
    return ExitData(tuple(seen[:-1]), final / 4, labels)


def task(change: Callable[[ExitData], ExitData] = lambda data: data, *, train: int = TRAIN, val: int = VAL) -> Task:
    """Return the ordinary task, its splits changed by `change`."""
    return _task(change(split(train, 1)), change(split(val, 2)))


def uneven() -> Task:
    """Return a task whose classes are rare in train to different degrees, but equally frequent on val."""
    train = split(500, 4)
    keep = torch.rand(500, generator=torch.Generator().manual_seed(5)) < 0.5**train.labels
    rows = ExitData(tuple(x[keep] for x in train.features), train.final_logits[keep], train.labels[keep])
    return _task(rows, split(400, 6))


def deep() -> Task:
    """Return a task of ten exits that improve slowly."""
    train, val = (split(n, seed, widths=(8,) * 10) for n, seed in ((TRAIN, 7), (300, 8)))
    return _task(train, val, tuple(MACS[0] * (k + 1) for k in range(10)))


def unseen(n: int = UNSEEN) -> ExitData:
    """Return samples of the ordinary task that no fit has seen."""
    return split(n, 3)


def degenerate(kind: str) -> tuple[Task, ExitData]:
    """Return a degenerate task, by its name in DEGENERATE, and samples to run on."""
    return DEGENERATE[kind]()


def clone(data: ExitData) -> ExitData:
    """Return a deep copy of a split."""
    return ExitData(tuple(x.clone() for x in data.features), data.final_logits.clone(), data.labels.clone())


def tensors(data: ExitData) -> dict[str, Tensor]:
    """Return the tensors of a split by their names in the contract."""
    return {f"features[{k}]": x for k, x in enumerate(data.features)} | {
        "final_logits": data.final_logits,
        "labels": data.labels,
    }


def saturate(data: ExitData) -> ExitData:
    """Scale features by ten thousand, and set the frozen head's logits to ±1e4."""
    final = torch.where(data.final_logits == data.final_logits.amax(-1, keepdim=True), 1e4, -1e4)
    return dataclasses.replace(data, features=tuple(1e4 * x for x in data.features), final_logits=final)


def _task(train: ExitData, val: ExitData, macs: tuple[int, ...] = MACS) -> Task:
    return Task(train, val, macs, train.final_logits.shape[-1], 0, torch.device("cpu"))


def _one_class() -> tuple[Task, ExitData]:
    train, val, other = (split(n, i, classes=1) for i, n in enumerate((60, 50, 40)))
    return _task(train, val), other


def _absent_classes() -> tuple[Task, ExitData]:
    return _task(split(60, 0, present=1), split(50, 1, present=1)), unseen(40)


def _one_exit() -> tuple[Task, ExitData]:
    train, val, other = (split(n, i, widths=WIDTHS[-1:]) for i, n in enumerate((60, 50, 40)))
    return _task(train, val, MACS[-1:]), other


def _two_samples() -> tuple[Task, ExitData]:
    return task(train=2, val=2), unseen(40)


def _ties() -> tuple[Task, ExitData]:
    def repeat(data: ExitData) -> ExitData:
        rows = torch.arange(len(data)) % 4
        features = tuple(x[rows].round() for x in data.features)
        return ExitData(features, data.final_logits[rows].round(), data.labels)

    return task(repeat), repeat(unseen())


def _constant() -> tuple[Task, ExitData]:
    def flatten(data: ExitData) -> ExitData:
        features = tuple(torch.full_like(x, 0.5) for x in data.features)
        return ExitData(features, torch.zeros_like(data.final_logits), data.labels)

    return task(flatten), flatten(unseen())


def _saturated() -> tuple[Task, ExitData]:
    return task(saturate), saturate(unseen())


DEGENERATE: dict[str, Callable[[], tuple[Task, ExitData]]] = {
    "one_class": _one_class,
    "absent_classes": _absent_classes,
    "one_exit": _one_exit,
    "two_samples": _two_samples,
    "ties": _ties,
    "constant_features": _constant,
    "saturated_logits": _saturated,
}
