"""Fit one policy as a run does, and compare it with the record that the run stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg  # noqa: F401 - its BLAS must be loaded before thread pools are limited
import torch
from threadpoolctl import threadpool_limits

from bench.bank.cell import cell_of
from bench.errors import UserError
from bench.inference import Outcomes
from bench.method import Infeasible, Policy
from bench.plugins.params import label
from bench.trials.outcomes import unpack
from bench.trials.plan import method_points
from bench.trials.published import PublishedStore
from bench.trials.record import record_id
from bench.trials.run import SLACK, correct, summary
from bench.trials.splits import SeedSplits, load_splits
from bench.trials.store import Store, read

if TYPE_CHECKING:
    from pathlib import Path

    from bench.bank.bank import Bank
    from bench.bank.cell import Cell
    from bench.method import Method
    from bench.trials.record import Point, Record


@dataclass(frozen=True)
class Fitted:
    """A policy, the splits that it was fitted and evaluated on, and its outcomes on val and test."""

    method: Method
    point: Point
    policy: Policy
    splits: SeedSplits
    outcomes: dict[str, Outcomes]

    @property
    def label(self) -> str:
        """The method with the parameters that differ from their defaults."""
        return label(self.method.name, self.method.config)

    def summary(self, split: str) -> dict[str, float]:
        """Return accuracy, mean MACs and their fraction of the plain backbone, on val or test."""
        return summary(self.outcomes[split], self.splits.task.macs[-1])


def fit(bank: Bank, method: Method, budget: float, seed: int, *, device: str = "cpu", threads: int = 2) -> Fitted:
    """Fit a method at one budget, with the threads that a run's trial has.

    Raises UserError if the budget is infeasible or the policy exceeds it on val.
    """
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        splits = load_splits(bank, seed, device)
        (policy,) = method.fit(splits.task, [budget])
        name = label(method.name, method.config)
        if isinstance(policy, Infeasible):
            raise UserError(f"{name} has no policy to export: {policy}. Give a larger budget.")
        answers, macs = splits.answers_for(policy, [policy]), splits.task.macs
        outcomes = {split: answers.outcomes(split, policy, macs) for split in ("val", "test")}
    (point,) = method_points(method, [budget], seed)
    found = Fitted(method, point, policy, splits, outcomes)
    if (spent := found.summary("val")["macs_fraction"]) > budget + SLACK:
        raise UserError(f"{name} costs {spent:.4f} on val, above its budget {budget:g}. `bench check` explains why.")
    return found


def compare(fitted: Fitted, bank: Bank, root: Path) -> tuple[str | None, str]:
    """Return the id of the stored record that a policy agrees with, or None, and a sentence for the user.

    root: the folder of a working or a published store.
    """
    record = _record(root, cell_of(bank), fitted.point)
    if record is None:
        return None, f"'{root}' has no record of this operating point to compare the policy with."
    if record.status != "ok":
        return None, f"The stored record of this operating point is '{record.status}': {record.reason}."
    known, test = unpack(record), fitted.outcomes["test"]
    exits, right = test.exit_index.cpu().numpy(), correct(test)
    if len(known.exit_index) != len(exits):
        differs = len(exits)
    else:
        differs = int(np.sum((known.exit_index != exits) | (known.correct != right)))
    if not differs:
        return record.id, f"It agrees with the stored record {record.id} on all {len(exits):,} test samples."
    return None, (
        f"It differs from the stored record {record.id} on {differs:,} of {len(exits):,} test samples. "
        "Another machine, device, number of threads or version of the code can cause that; `bench run --rerun all` "
        "runs it again."
    )


def _record(root: Path, cell: Cell, point: Point) -> Record | None:
    path = Store(root).path(cell, point)
    if path.exists():
        return read(path)
    wanted = record_id(cell, point)
    return next((record for record in PublishedStore(root).records([cell]) if record.id == wanted), None)
