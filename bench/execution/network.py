"""The backbone of a bank with the bank's last exit, its test samples, and the policies of a method on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.bank.bank import Bank
from bench.bank.compute import laid_out, ready
from bench.bank.plan import Plan
from bench.bank.stream import Job, chunks
from bench.errors import BankError, UserError
from bench.inference import FinalHead, Outcomes, computing_in, execute_batch, exit_macs, final_logits
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.trials.run import explain

TEST = "test"


@dataclass(frozen=True)
class Network:
    """A bank's backbone on a device; its last exit is the head that the bank chose for the seed."""

    plan: Plan
    bank: Bank
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        if self.plan.digest != self.bank.digest:
            raise BankError(f"{self.bank.path} was made from other {self.plan.modality}s or weights. Build it again.")

    @cached_property
    def head(self) -> FinalHead:
        """Weight [C, D] and bias [C] of the last exit."""
        weight, bias = self.bank.final_head(self.seed)
        return weight.to(self.device), bias.to(self.device)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Put the backbone on the device, as for a build of the bank, for the block."""
        with ready(self.plan, self.device):
            yield

    def positions(self, count: int) -> np.ndarray:
        """Return `count` positions of test samples, spread evenly, or all of them if there are fewer."""
        size = len(self.plan.rows[TEST])
        return np.arange(min(count, size)) * size // min(count, size)

    def batches(self, positions: np.ndarray, batch_size: int) -> Iterator[Tensor]:
        """Yield batches of test samples as `backbone.start` takes them."""
        jobs = [Job(TEST, part) for part in np.split(positions, range(batch_size, len(positions), batch_size))]
        for chunk in chunks(self.plan, jobs, self.device):
            yield laid_out(self.plan, chunk.view(self.plan, 0, self.device))

    def features(self, positions: np.ndarray) -> ExitData:
        """Return the bank's data of test samples."""
        return self.bank.exit_data(TEST, positions, head=self.head, device=self.device)

    def execute(self, policy: Policy, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Run a policy, really stopping early; return the exits taken [B] and the logits there [B, C]."""
        try:
            return execute_batch(policy, self.plan.backbone, inputs, head=self.head, precision=self.plan.precision)
        except Exception as error:
            raise UserError(
                f"{type(policy).__name__} failed on {self.plan.modality}s ({explain(error)}). See `bench check`."
            ) from error

    def plain(self, inputs: Tensor) -> Tensor:
        """Return the logits [B, C] of the plain backbone: no heads, no gates, no features of intermediate exits."""
        backbone = self.plan.backbone
        with computing_in(self.plan.precision, self.device):
            state = backbone.start(inputs)
            for k in range(backbone.num_exits):
                state = backbone.stage(k, state)
            features = backbone.feature(backbone.num_exits - 1, state)
        return final_logits(backbone, features.to(torch.promote_types(features.dtype, torch.float32)), self.head)

    def outcomes(self, policy: Policy, exit_index: Tensor, logits: Tensor, labels: Tensor) -> Outcomes:
        """Return the outcomes of executed batches."""
        costs = torch.tensor(exit_macs(policy, self.bank.manifest.macs), device=exit_index.device)
        return Outcomes(exit_index, logits, labels, costs[exit_index])


def fit(method: Method, task: Task, budgets: Sequence[float]) -> dict[float, Policy | Infeasible]:
    """Return the policies of a method by budget, in evaluation mode; raise UserError if it fails."""
    try:
        policies = list(method.fit(task, budgets))
    except Exception as error:
        raise UserError(f"{method.name} could not be fitted ({explain(error)}). See `bench check`.") from error
    if len(policies) != len(budgets):
        raise UserError(
            f"{method.name} returned {len(policies)} policies for {len(budgets)} budgets. See `bench check`."
        )
    return {b: p.eval() if isinstance(p, Policy) else p for b, p in zip(budgets, policies, strict=True)}
