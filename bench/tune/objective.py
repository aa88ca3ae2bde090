"""What a search maximises: the mean accuracy over costs on the half of val that a fit did not see.

Val is parted into two stratified halves A and B by `protocol.halves(labels, seed)`. The method is fitted with A as its
val and played on B, then the other way round. One fit gives a point (c_b, a_b) for every budget b that it meets: mean
MACs as a fraction of the plain backbone's, and accuracy, both on the half it did not see. Its curve is

    f(c) = 0                        for c < b₁, the smallest budget that it meets on its own half of val
    f(c) = interp(c; (c_b, a_b))    else: linear between its points, constant beyond the cheapest and the dearest

and its score is (1 / (h - l)) ∫ f(c) dc from l to h, by the trapezoid rule at 121 costs. The window is the same for all
methods of a bank: l is the smallest budget asked for that exceeds the backbone's cost at its first exit, h the largest.
The score of a seed is the mean of both ways round.

No envelope is taken over the points: which of them is better must not be read off the labels that score them.
Cal and test are never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bench import protocol
from bench.bank.bank import Bank
from bench.errors import UserError
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.play import simulate

COSTS = 121  # at which a curve is read
SLACK = 1e-9  # a budget is met up to rounding of the mean
KEPT = 8  # what trials of one task share (trained heads) stays in memory, up to this many things


@dataclass(frozen=True)
class OperatingPoint:
    """One budget that a fit meets, with what its policy costs and gets right on the half of val it did not see."""

    budget: float
    cost: float
    accuracy: float


def window(budgets: Sequence[float], macs: Sequence[int]) -> tuple[float, float]:
    """Return the costs between which curves are compared; raise UserError where no budget reaches the first exit."""
    within = [b for b in sorted(budgets) if b > macs[0] / macs[-1]]
    if not within:
        raise UserError(
            f"All budgets are below {macs[0] / macs[-1]:.3f}, the cost of the first exit. Ask for larger --budgets."
        )
    return within[0], within[-1]


def area(points: Sequence[OperatingPoint], low: float, high: float) -> float:
    """Return the mean of f over costs from low to high (f(low) where they are equal); 0 without any point."""
    if not points:
        return 0.0
    by_cost: dict[float, list[float]] = {}
    for point in points:
        by_cost.setdefault(point.cost, []).append(point.accuracy)
    costs = sorted(by_cost)
    grid = np.linspace(low, high, COSTS)
    values = np.interp(grid, costs, [float(np.mean(by_cost[c])) for c in costs])
    values[grid < min(point.budget for point in points) - SLACK] = 0.0
    return float(np.trapezoid(values, grid) / (high - low)) if high > low else float(values[0])


def halved(task: Task) -> list[tuple[Task, ExitData]]:
    """Return both ways round: the task with one stratified half of val as its val, and the other half to score on."""
    first, second = protocol.halves(task.val.labels.cpu().numpy(), task.seed)
    ways = ((first, second), (second, first))
    return [(replace(task, val=rows_of(task.val, fit), memo={}), rows_of(task.val, held)) for fit, held in ways]


def rows_of(data: ExitData, rows: np.ndarray) -> ExitData:
    """Return some rows of a split."""
    index = torch.from_numpy(rows).to(data.labels.device)
    return ExitData(tuple(x[index] for x in data.features), data.final_logits[index], data.labels[index])


def points(method: Method, task: Task, held: ExitData, budgets: Sequence[float]) -> list[OperatingPoint]:
    """Fit a method and play every policy on the held half; raise ValueError where it breaks its contract."""
    answers = list(method.fit(task, list(budgets)))
    if len(answers) != len(budgets):
        raise ValueError(f"fit returned {len(answers)} policies for {len(budgets)} budgets")
    found = []
    for budget, answer in zip(budgets, answers, strict=True):
        if isinstance(answer, Infeasible):
            continue
        spent, _ = played(answer, task.val, task.macs)
        if spent > budget + SLACK:
            raise ValueError(f"the policy costs {spent:.4f} on val, above its budget {budget:g}")
        found.append(OperatingPoint(budget, *played(answer, held, task.macs)))
    return found


def played(policy: Policy, data: ExitData, macs: Sequence[int]) -> tuple[float, float]:
    """Return a policy's mean cost as a fraction of the plain backbone's MACs, and its accuracy."""
    outcomes = simulate(policy, data, macs)
    right = outcomes.logits.argmax(-1) == outcomes.labels
    return float(outcomes.macs.double().mean()) / macs[-1], float(right.double().mean())


class Evaluator:
    """Scores methods on banks, one seed at a time; keeps the halved tasks of one bank, and with them trained heads."""

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads
        self._bank = ""
        self._ways: dict[int, list[tuple[Task, ExitData]]] = {}

    def score(self, bank: Bank, method: Method, seed: int, budgets: Sequence[float]) -> float:
        """Return the score of one method and seed, in [0, 1]."""
        torch.set_num_threads(self.threads)
        low, high = window(budgets, bank.manifest.macs)
        scores = []
        for task, held in self._halved(bank, seed):
            scores.append(area(points(method, task, held, budgets), low, high))
            for key in list(task.memo)[KEPT:]:
                del task.memo[key]
        return float(np.mean(scores))

    def forget(self) -> None:
        """Let go of all tasks: after a fit that was interrupted, what it left in them is not to be trusted."""
        self._bank, self._ways = "", {}

    def _halved(self, bank: Bank, seed: int) -> list[tuple[Task, ExitData]]:
        if self._bank != bank.digest:
            self.forget()
            self._bank = bank.digest
        if seed not in self._ways:
            task = bank.task(seed, self.device)
            for (other, _), *_ in self._ways.values():  # all seeds train on the same features: hold them once
                task = replace(task, train=replace(task.train, features=other.train.features))
                break
            self._ways[seed] = halved(task)
        return self._ways[seed]
