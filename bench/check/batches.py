"""A sample's exit and answer must not depend on the other samples of its batch, nor on their order."""

from __future__ import annotations

import dataclasses

import torch

from bench.check import tasks
from bench.check.compare import difference
from bench.check.result import Violation
from bench.check.subject import Subject, infer
from bench.method import ExitData

ROWS = 64
ADVICE = "Treat every row independently: no statistics over the batch, no positions, no state between calls."


def row_order(subject: Subject) -> None:
    """Run the samples in another order."""
    data = tasks.unseen()
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    for budget, policy in subject.few.items():
        mixed = infer(policy, take(data, order))
        back = order.argsort()
        restored = dataclasses.replace(mixed, exit_index=mixed.exit_index[back], logits=mixed.logits[back])
        if found := difference(policy, data, infer(policy, data), restored):
            raise Violation(f"The policy for budget {budget} depends on the order of the samples: {found}. {ADVICE}")


def batch_size(subject: Subject) -> None:
    """Run the samples in batches of 1, 7 and all."""
    data = tasks.unseen(ROWS)
    for budget, policy in subject.few.items():
        whole = infer(policy, data)
        for size in (1, 7):
            if found := difference(policy, data, whole, infer(policy, data, batch_size=size)):
                raise Violation(
                    f"In batches of {size} instead of {ROWS} the policy for budget {budget} runs differently: "
                    f"{found}. {ADVICE}"
                )


def take(data: ExitData, rows: torch.Tensor) -> ExitData:
    """Return some rows of a split."""
    return ExitData(tuple(x[rows] for x in data.features), data.final_logits[rows], data.labels[rows])
