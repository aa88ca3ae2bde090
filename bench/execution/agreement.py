"""Compare policies that really stop early with their simulation on the bank, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from bench.execution.network import Network
from bench.inference import Outcomes, simulate
from bench.method import ExitData, Policy

BATCH = 64
DRAWS = 64
LAST_BITS = 2.0**-16  # largest relative change of a feature by another batch size
K = TypeVar("K")


@dataclass(frozen=True)
class Agreement:
    """How a policy that really stopped early compares with its simulation on the bank."""

    images: int
    exits_equal: float  # share of samples
    predictions_equal: float  # share of samples
    logit_difference: float  # the largest, of samples that left at the same exit
    rounding: int  # samples whose exit or prediction differs, explained by the bank's rounding
    unexplained: int  # samples whose exit or prediction differs for another reason

    @property
    def metrics(self) -> dict[str, float]:
        """Return the scores that a record stores, by name."""
        return {f"executed_{name}": float(value) for name, value in vars(self).items()}

    def __str__(self) -> str:
        text = f"{self.exits_equal:.2%} equal exits, {self.predictions_equal:.2%} equal predictions"
        text += f", logits differ by at most {self.logit_difference:.2g}"
        if self.rounding:
            text += f"; {self.rounding} of {self.images} differ by the bank's rounding"
        return text + (f"; {self.unexplained} DIFFER FOR ANOTHER REASON" if self.unexplained else "")


@torch.inference_mode()
def agreements(network: Network, policies: Mapping[K, Policy], count: int) -> dict[K, Agreement]:
    """Execute policies on `count` test samples, read from the dataset again, and compare them with their simulation."""
    positions = network.positions(count)
    held: dict[K, list[tuple[Tensor, Tensor]]] = {key: [] for key in policies}
    with network.running():
        for inputs in network.batches(positions, BATCH):
            for key, policy in policies.items():
                held[key].append(network.execute(policy, inputs))
        data = network.features(positions)
        found = {}
        for key, policy in policies.items():
            exits, logits = (torch.cat(parts) for parts in zip(*held[key], strict=True))
            executed = network.outcomes(policy, exits, logits, data.labels)
            found[key] = agreement(policy, data, executed, network.bank.manifest.macs, tolerance(network))
    return found


def tolerance(network: Network) -> float:
    """Return the largest expected relative difference between a stored feature and the same one computed now."""
    if network.plan.precision == "bfloat16":
        return 2.0**-8
    return 2.0**-11 if network.bank.manifest.dtype == "float16" else LAST_BITS


def agreement(policy: Policy, data: ExitData, executed: Outcomes, macs: tuple[int, ...], rounding: float) -> Agreement:
    """Compare executed outcomes with simulated ones on `data`, whose features have this relative rounding."""
    simulated = simulate(policy, data, macs)
    same_exit = simulated.exit_index == executed.exit_index
    same_answer = simulated.logits.argmax(-1) == executed.logits.argmax(-1)
    apart = (~(same_exit & same_answer)).nonzero().squeeze(1)
    excused = _reached(policy, data, executed, macs, apart, rounding)
    difference = (simulated.logits - executed.logits).abs().amax(-1)[same_exit]
    return Agreement(
        len(data),
        float(same_exit.double().mean()),
        float(same_answer.double().mean()),
        float(difference.max()) if len(difference) else 0.0,
        excused,
        len(apart) - excused,
    )


def _reached(
    policy: Policy, data: ExitData, executed: Outcomes, macs: tuple[int, ...], rows: Tensor, rounding: float
) -> int:
    """Count the rows whose executed exit and prediction also result from features with random changes of that size."""
    if not len(rows):
        return 0
    generator = torch.Generator().manual_seed(0)
    reached = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)

    def shaken(x: Tensor) -> Tensor:
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        return x * (1 + rounding * noise) + rounding * noise.flip(0) * x.abs().mean()

    for _ in range(DRAWS):
        inputs = [shaken(data.batch(k, rows)) for k in range(data.num_exits)]
        found = simulate(policy, ExitData(tuple(inputs[:-1]), inputs[-1], data.labels[rows]), macs)
        same = found.logits.argmax(-1) == executed.logits[rows].argmax(-1)
        reached |= same & (found.exit_index == executed.exit_index[rows])
    return int(reached.sum())
