"""Measure the plain backbone and policies on test samples: what early exiting saves on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench import heads
from bench.errors import UserError
from bench.execution.measurements import PLAIN, Row, Spread
from bench.execution.network import TEST, Network
from bench.execution.timing import measure
from bench.inference import Outcomes, exit_macs, simulate
from bench.method import Policy, Task
from bench.recipe import Heads


class Measured(NamedTuple):
    """A policy to measure, with its method and budget."""

    method: str
    budget: str
    policy: Policy


class Upto(Policy):
    """All samples leave at one exit; every head up to it runs, with a max-probability gate."""

    def __init__(self, fitted: Heads, exit_index: int) -> None:
        super().__init__()
        self.heads, self.exit_index = fitted, exit_index

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.heads(k, features, previous)

    def leave(self, k: int, logits: Tensor) -> Tensor:
        never = logits[:, k].softmax(-1).amax(-1) > 2
        return ~never if k == self.exit_index else never

    def macs(self, k: int) -> int:
        return self.heads.macs(k)


def batches_of(network: Network, batch_size: int, images: int) -> tuple[np.ndarray, list[Tensor]]:
    """Read full batches of test samples, at least one and as many as `images` fill; return their positions and inputs.

    Raises UserError if the test split is smaller than a batch.
    """
    size = len(network.plan.rows[TEST])
    if size < batch_size:
        raise UserError(
            f"The test split has {size} {network.plan.modality}s, fewer than a batch of {batch_size}. "
            f"Give --batch-sizes {size}."
        )
    positions = network.positions(max(min(images, size) // batch_size, 1) * batch_size)
    return positions, list(network.batches(positions, batch_size))


def exit_milliseconds(network: Network, task: Task, batch_size: int, images: int, repeats: int) -> list[float]:
    """Measure the median milliseconds [K] of a batch that leaves at exit k, heads and gates included."""
    fitted = heads.fit("plain" if task.native is None else "native", task).eval()
    subjects = {k: _run(network, Upto(fitted, k).eval()) for k in range(task.num_exits)}
    with network.running():
        _, batches = batches_of(network, batch_size, images)
        found = measure(subjects, batches, repeats)
    return np.maximum.accumulate([float(np.median(found[k])) for k in range(task.num_exits)]).tolist()


def in_milliseconds(task: Task, milliseconds: Sequence[float]) -> Task:
    """Return a task whose costs are proportional to measured milliseconds [K], so that budgets are shares of time."""
    unit = task.macs[-1] / milliseconds[-1]
    costs = [max(1, round(m * unit)) for m in milliseconds]
    rising = tuple(max(cost, costs[0] + k) for k, cost in enumerate(costs))
    return dataclasses.replace(task, macs=rising, shared_cache={})


def latencies(
    network: Network,
    policies: Sequence[Measured],
    batch_size: int,
    *,
    images: int,
    repeats: int,
    advance: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Measure the plain backbone and policies at one batch size: one row each, the plain backbone first."""
    macs, full = network.bank.manifest.macs, network.bank.manifest.macs[-1]
    subjects: dict[int, Callable[[Tensor], object]] = {-1: network.plain}
    subjects |= {i: _run(network, one.policy) for i, one in enumerate(policies)}
    with network.running():
        positions, batches = batches_of(network, batch_size, images)
        executed = {i: _executed_macs(network, one.policy, batches) for i, one in enumerate(policies)}
        found = measure(subjects, batches, repeats, advance)
    test = network.features(network.positions(len(network.plan.rows[TEST])))
    spreads = {i: Spread.of(values) for i, values in found.items()}
    created = datetime.now(UTC).isoformat(timespec="seconds")

    def row(i: int, method: str, budget: str | None, costs: Mapping[str, float]) -> Row:
        return Row(
            method=method,
            budget=budget,
            seed=network.seed,
            batch_size=batch_size,
            images=len(positions),
            repeats=repeats,
            milliseconds=spreads[i],
            speed_up=spreads[-1].median / spreads[i].median,
            created=created,
            **costs,
        )

    plain_accuracy = _accuracy(test.final_logits, test.labels)
    rows = [row(-1, PLAIN, None, {"cost_counted": 1.0, "cost_executed": 1.0, "accuracy": plain_accuracy})]
    for i, (method, budget, policy) in enumerate(policies):
        simulated = simulate(policy, test, macs)
        costs = {
            "cost_counted": _mean_cost(simulated) / full,
            "cost_executed": executed[i] / full,
            "accuracy": _accuracy(simulated.logits, simulated.labels),
        }
        rows.append(row(i, method, budget, costs))
    return rows


def _run(network: Network, policy: Policy) -> Callable[[Tensor], object]:
    return lambda inputs: network.execute(policy, inputs)


@torch.inference_mode()
def _executed_macs(network: Network, policy: Policy, batches: Sequence[Tensor]) -> float:
    """Return the mean MACs of the samples that are measured."""
    exits = torch.cat([network.execute(policy, batch)[0] for batch in batches])
    costs = torch.tensor(exit_macs(policy, network.bank.manifest.macs), device=exits.device)
    return float(costs[exits].double().mean())


def _mean_cost(outcomes: Outcomes) -> float:
    return float(outcomes.macs.double().mean())


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(-1) == labels).double().mean())
