"""Check that samples that leave midway do not change the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.check.compare import difference
from bench.check.network.subject import Network
from bench.check.result import Violation
from bench.inference import execute, simulate
from bench.method import ExitData, Policy

SAMPLES = 12


class Halving(Policy):
    """Random heads; at each exit about half of the samples leave, by a score that rounding does not tip."""

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.weights = [torch.randn(width, classes, generator=g) / width**0.5 for width in widths]
        self.thresholds = [0.0] * len(widths)

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return features @ self.weights[k] if k < len(self.weights) else features

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return logits[:, k, 0] > self.thresholds[k]

    def macs(self, k: int) -> int:
        return 0

    def settle(self, data: ExitData) -> None:
        """Put each threshold into the widest gap between the middle scores of the samples that have not left."""
        alive = torch.ones(len(data), dtype=torch.bool)
        for k, features in enumerate(data.features):
            scores = self.head(k, features, ())[:, 0]
            held = scores[alive].sort().values
            middle = held[len(held) // 4 : max(len(held) * 3 // 4, len(held) // 4 + 2)]
            if len(middle) > 1:
                widest = int(middle.diff().argmax())
                self.thresholds[k] = float(middle[widest : widest + 2].mean())
                alive &= scores <= self.thresholds[k]
            else:
                self.thresholds[k] = float("inf")


def stopping(network: Network) -> str:
    """Simulate and execute one policy on the same images."""
    b, images = network.backbone, network.images(SAMPLES, seed=3)
    *features, _, logits = network.run(images)
    data = ExitData(tuple(features), logits, torch.zeros(SAMPLES, dtype=torch.int64))
    policy = Halving(b.feature_dims, b.num_classes)
    policy.settle(data)
    costs = [0] * b.num_exits
    simulated = simulate(policy, data, costs)
    if found := difference(policy, data, simulated, execute(policy, b, images, data.labels, costs)):
        raise Violation(
            f"Once samples leave, the others are computed differently: {found}. A stage may use only the rows of the "
            "state that it is given: no batch size and no tensor stored from an earlier call."
        )
    return f"{len(set(simulated.exit_index.tolist()))} of {b.num_exits} exits used."
