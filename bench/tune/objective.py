"""The objective of a search: the mean accuracy over costs on images of val that a fit did not see.

A third of the held-out pool, stratified and the same for all seeds, is held back from the search (`deciding`) for the
final comparison of the winner with the defaults (`bench.tune.compare`). The rest of a seed's val is split into two
stratified halves A and B by `protocol.halves(labels, seed)`. The method is fitted with A as its val and run on B, then
vice versa. One fit gives a point (c_b, a_b) for every budget b that it meets: mean MACs as a fraction of the plain
backbone's, and accuracy, both on the half it did not see. Its curve is

    f(c) = 0                        for c < b₁, the smallest budget that it meets on its own half of val
    f(c) = interp(c; (c_b, a_b))    otherwise: linear between points, constant beyond the cheapest and most expensive

and its score is (1 / (h - l)) ∫ f(c) dc from l to h, by the trapezoid rule at 121 costs. The window is the same for all
methods of a bank: l is the smallest requested budget above the backbone's cost at its first exit, h the largest.
The score of a seed is the mean of both fits.

No upper hull is taken over the points, because the labels that score them must not also select among them.
Cal and test are never read. The regularisation of the frozen head is the one that the bank chose on the seed's whole
val; it is the same for all trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bench import protocol
from bench.bank.bank import Bank
from bench.errors import UserError
from bench.inference import simulate
from bench.method import ExitData, Infeasible, Method, Policy, Task

SHARE = 3  # one in SHARE images is held back from the search, for the final comparison
COSTS = 121  # number of costs at which a curve is evaluated
SLACK = 1e-9  # a budget is met up to rounding of the mean
KEPT = 8  # maximum number of results (trained heads) of one task that stay in memory for later trials


@dataclass(frozen=True)
class OperatingPoint:
    """A budget that a fit meets, with the cost and accuracy of its policy on the half of val that it did not see."""

    budget: float
    cost: float
    accuracy: float


def window(budgets: Sequence[float], macs: Sequence[int]) -> tuple[float, float]:
    """Return the costs between which curves are compared; raise UserError if no budget reaches the first exit."""
    within = [b for b in sorted(budgets) if b > macs[0] / macs[-1]]
    if not within:
        raise UserError(
            f"All budgets are below {macs[0] / macs[-1]:.3f}, the cost of the first exit. Ask for larger --budgets."
        )
    return within[0], within[-1]


def area(points: Sequence[OperatingPoint], low: float, high: float) -> float:
    """Return the mean of f over costs from low to high (f(low) if they are equal); 0 without any point."""
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


def deciding(labels: np.ndarray) -> np.ndarray:
    """Return which images of a split no search sees: bool [N], a third of each class, the same for all seeds.

    The count starts at a different position in each class, so that rounding does not treat all small classes alike.
    """
    key = hashlib.sha256(b"exitbench|tune|deciding").digest()
    order = np.random.default_rng(int.from_bytes(key[:8], "big")).permutation(len(labels))
    _, codes, counts = np.unique(np.asarray(labels)[order], return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), dtype=np.int64)
    rank[by_class] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.zeros(len(codes), dtype=bool)
    kept[order] = (rank + codes) % SHARE == SHARE - 1
    return kept


@dataclass(frozen=True)
class Parts:
    """A seed's val as a search uses it: two pairs of task and images for its trials, one for the final comparison."""

    ways: tuple[tuple[Task, ExitData], ...]  # the task to fit, and the images to score
    last: tuple[Task, ExitData]  # fitted with all images of the search as val, scored on the held-back ones
    rows: np.ndarray  # of the held-back images: positions in the split that val is from


def parts(task: Task, rows: np.ndarray, kept: np.ndarray) -> Parts:
    """Return the parts of a task's val; raise ValueError if it is too small.

    rows: positions of val in a split. kept: bool [N] from `deciding` on that split.
    """
    back = kept[rows]
    choosing, deciders = np.flatnonzero(~back), np.flatnonzero(back)
    first, second = protocol.halves(task.val.labels.cpu().numpy()[choosing], task.seed)
    if not (len(first) and len(second) and len(deciders)):
        raise ValueError(f"val has {len(rows)} images, too few for a search and a final comparison")

    def way(fit: np.ndarray, held: np.ndarray) -> tuple[Task, ExitData]:
        return replace(task, val=rows_of(task.val, fit), shared_cache={}), rows_of(task.val, held)

    ways = (way(choosing[first], choosing[second]), way(choosing[second], choosing[first]))
    return Parts(ways, way(choosing, deciders), rows[deciders])


def rows_of(data: ExitData, rows: np.ndarray) -> ExitData:
    """Return some rows of a split."""
    index = torch.from_numpy(rows).to(data.labels.device)
    return ExitData(tuple(x[index] for x in data.features), data.final_logits[index], data.labels[index])


@dataclass(frozen=True)
class Played:
    """A budget that a fit meets, with the results of all images that it did not see."""

    budget: float
    costs: np.ndarray  # float64 [N], fractions of the plain backbone's MACs
    right: np.ndarray  # float64 [N], 1 or 0

    def point(self) -> OperatingPoint:
        """Return the means."""
        return OperatingPoint(self.budget, float(self.costs.mean()), float(self.right.mean()))


def play(method: Method, task: Task, held: ExitData, budgets: Sequence[float]) -> list[Played]:
    """Fit a method and run every policy on held-out images; raise ValueError if it violates the interface."""
    answers = list(method.fit(task, list(budgets)))
    if len(answers) != len(budgets):
        raise ValueError(f"fit returned {len(answers)} policies for {len(budgets)} budgets")
    found = []
    for budget, answer in zip(budgets, answers, strict=True):
        if isinstance(answer, Infeasible):
            continue
        spent = float(_played(answer, budget, task.val, task.macs).costs.mean())
        if spent > budget + SLACK:
            raise ValueError(f"the policy costs {spent:.4f} on val, above its budget {budget:g}")
        found.append(_played(answer, budget, held, task.macs))
    return found


def _played(policy: Policy, budget: float, data: ExitData, macs: Sequence[int]) -> Played:
    outcomes = simulate(policy, data, macs)
    right = outcomes.logits.argmax(-1) == outcomes.labels
    return Played(budget, outcomes.macs.double().cpu().numpy() / macs[-1], right.double().cpu().numpy())


class Evaluator:
    """Scores methods on banks, one seed at a time; caches the tasks of one bank and their trained heads."""

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads
        self._bank = ""
        self._parts: dict[int, Parts] = {}

    def score(self, bank: Bank, method: Method, seed: int, budgets: Sequence[float]) -> float:
        """Return the score of one method and seed on the images of the search, in [0, 1]."""
        low, high = window(budgets, bank.manifest.macs)
        ways = self._parted(bank, seed).ways
        return float(np.mean([area([p.point() for p in self._play(method, *way, budgets)], low, high) for way in ways]))

    def last(self, bank: Bank, method: Method, seed: int, budgets: Sequence[float]) -> tuple[np.ndarray, list[Played]]:
        """Run a method on the held-back images; return their positions and the result per budget that it meets."""
        parted = self._parted(bank, seed)
        return parted.rows, self._play(method, *parted.last, budgets)

    def forget(self) -> None:
        """Drop all tasks, because an interrupted fit may have left invalid results in them."""
        self._bank, self._parts = "", {}

    def _play(self, method: Method, task: Task, held: ExitData, budgets: Sequence[float]) -> list[Played]:
        torch.set_num_threads(self.threads)
        played = play(method, task, held, budgets)
        for key in list(task.shared_cache)[KEPT:]:
            del task.shared_cache[key]
        return played

    def _parted(self, bank: Bank, seed: int) -> Parts:
        if self._bank != bank.digest:
            self.forget()
            self._bank = bank.digest
        if seed not in self._parts:
            task = bank.task(seed, self.device)
            for other in (
                self._parts.values() if not (task.train.on_disk or bank.manifest.pool_class_counts) else ()
            ):  # all seeds train on the same features: store them once
                task = replace(task, train=replace(task.train, features=other.last[0].train.features))
                break
            roles = bank.roles(seed)
            self._parts[seed] = parts(task, roles.val, deciding(bank.labels(roles.held)))
        return self._parts[seed]
