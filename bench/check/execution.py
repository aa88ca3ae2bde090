"""Check that executed inference, on a tiny staged backbone, agrees with simulated inference."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.backbones.staged import Origin, Preprocessing, StagedBackbone
from bench.check.compare import difference
from bench.check.result import Violation
from bench.check.subject import Subject
from bench.check.tasks import CLASSES, MACS, TRAIN, VAL, clone
from bench.inference import execute, simulate
from bench.method import ExitData, Policy, Task

SIDE = 2
WIDTHS = (3 * SIDE * SIDE, 10, 12, 14, 16)
SAMPLES = 96
AT = (0.5, 0.9)


class _Stage(nn.Module):
    """A layer whose numbers are short binary fractions, so that sums are exact and no batch shape changes a bit."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randint(-1, 2, (inputs, outputs), generator=generator).float() / 2)

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight).clamp(-8, 8)


class TinyBackbone(StagedBackbone):
    """Four exits on images of 2 × 2 pixels."""

    def start(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def pool(self, state: Tensor) -> Tensor:
        return state

    def final(self, state: Tensor) -> Tensor:
        return state


def tiny_backbone() -> TinyBackbone:
    """Return the backbone, the same every time."""
    g = torch.Generator().manual_seed(0)
    stages = nn.ModuleList(_Stage(a, b, g) for a, b in pairwise(WIDTHS))
    head = nn.Linear(WIDTHS[-1], CLASSES)
    with torch.no_grad():
        means = torch.stack([_through(stages, x) for x in patterns()]) * 4
        head.weight.copy_(means.round() / 64)
        head.bias.copy_(-(head.weight.square().sum(1) * 128).round() / 16)
    return TinyBackbone(
        name="tiny",
        trunk=stages,
        blocks=list(stages),
        head=head,
        positions=range(len(stages) - 1),
        image_size=SIDE,
        preprocessing=Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear"),
        origin=Origin(),
    )


def patterns() -> Tensor:
    """Return one image per class, flat [C, 12]."""
    return torch.randint(-6, 7, (CLASSES, WIDTHS[0]), generator=torch.Generator().manual_seed(1)).float() / 4


def images(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw images [n, 3, 2, 2] of patterns with varying noise, and their labels."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (n,), generator=g)
    noise = torch.randn(n, WIDTHS[0], generator=g) * 2.5 * torch.rand(n, 1, generator=g)
    return ((patterns()[labels] + noise) * 8).round().div(8).reshape(n, 3, SIDE, SIDE), labels


def execution(subject: Subject) -> str:
    """Fit on the backbone's features, then simulate and execute the same images."""
    backbone = tiny_backbone()
    data = [_split(backbone, n, seed) for seed, n in enumerate((TRAIN, VAL, SAMPLES))]
    pictures, labels = images(SAMPLES, 2)
    task = Task(data[0], data[1], MACS, CLASSES, 0, torch.device("cpu"))
    used = set()
    for budget, policy in zip(AT, subject.fit(task, AT), strict=True):
        if not isinstance(policy, Policy):
            continue
        simulated = simulate(policy, clone(data[2]), MACS)
        executed = execute(policy, backbone, pictures, labels, MACS)
        if found := difference(policy, data[2], simulated, executed):
            raise Violation(
                f"Executed inference differs from simulated inference for the policy of budget {budget}: {found}. "
                "Samples that left are missing from later calls: use only the rows that are passed in."
            )
        used |= set(simulated.exit_index.tolist())
    return f"{len(used)} exits used"


@torch.no_grad()
def _split(backbone: StagedBackbone, n: int, seed: int) -> ExitData:
    pictures, labels = images(n, seed)
    features, logits = backbone.exits(pictures)
    return ExitData(tuple(features), logits, labels)


def _through(stages: nn.ModuleList, x: Tensor) -> Tensor:
    for stage in stages:
        x = stage(x)
    return x
