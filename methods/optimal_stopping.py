"""Optimal stopping on given heads by a fitted value recursion (the family of EPNet and Bolukbasi et al.)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench import heads
from bench.exits import first_true, mean_cost
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import ThresholdPolicy, logistic, rule_fractions, too_small
from bench.rules.states import DIGITS, Ridge, StateBasis, StateScore, along, hinges, knots, states

INF = float("inf")


@dataclass(frozen=True)
class OptimalStoppingConfig:
    """The heads, how flexible the value regressions are, and how finely λ is searched."""

    heads: str = "plain"
    knots: int = tunable(4, 0, 8)
    ridge: float = tunable(1e-3, 1e-5, 1.0, log=True)
    folds: int = 5
    points: int = 128
    finer: int = 32

    def __post_init__(self) -> None:
        for name, least in (("knots", 0), ("folds", 2), ("points", 2), ("finer", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} is too few; give {least} or more")
        if self.ridge <= 0:
            raise ValueError(f"ridge={self.ridge:g} leaves collinear states without a solution; give more than 0")


class OptimalStopping(Method):
    """Leave when the error now plus λ·cost is at most the expected cost of continuing optimally (optimal stopping).

    J_λ = E[wrong + λ·cost], cost a fraction of the plain backbone's. Backwards from the last exit, s the state of
    `bench.rules.states`: e_k(s) = E[wrong at k | s] and v_k(s) = E[J of continuing | s] by ridge regression on val on
    one basis: state features, the log-odds of being wrong, and hinges of both. Leave iff e_k(s) + λ·c_k <= v_k(s).

    Continuing is valued at its real cost on val, with decisions of regressions that have not seen the sample
    (cross-fitting). All λ, including ∞, are one batch, refined around each budget.
    """

    name: ClassVar[str] = "optimal_stopping"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Adaptive Neural Networks for Efficient Inference",
        authors="Bolukbasi, Wang, Dekel, Saligrama",
        venue="ICML",
        year=2017,
        link="https://arxiv.org/abs/1702.07811",
        family="learned",
        basis="assumed in part",
        detail="the goal is the literature's, which learns by reinforcement or count tables; the recursion is ours",
    )
    Config: ClassVar[type] = OptimalStoppingConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Run the recursion for a grid of λ on val, refine λ around every budget separately, and choose."""
        c, fitted = self.config, heads.fit(self.config.heads, task)
        logits = fitted.logits(task.val)
        wrong = (logits.argmax(-1) != task.val.labels[:, None]).double()
        inputs = states(logits)
        odds = logistic.solve(inputs, wrong[None, :, :-1], inputs.new_ones(1, inputs.shape[1]))[0][0, ..., None]
        features = along(inputs, odds)
        at = knots(features, c.knots)
        values, basis = hinges(features, at), StateBasis(odds, at)
        macs = StateScore(values[0], values[0, :, 0], basis=basis).macs
        costs = rule_fractions(task, fitted, lambda k: macs(k, task.num_classes))
        order = torch.randperm(len(wrong), generator=torch.Generator().manual_seed(task.seed)).to(wrong.device)
        problem = Stopping(values[order], wrong[order], costs, c.folds, c.ridge)
        steepest = 2 / max(float(costs.diff().min()), 1e-6) if len(costs) > 1 else 1.0
        coarse = problem.solve([0.0, *np.geomspace(1e-3, steepest, c.points), INF])

        def answer(budget: float) -> Policy | Infeasible:
            points = coarse.join(problem.solve(coarse.around(budget, c.finer)))
            chosen = points.choose(budget)
            if chosen is None:
                return too_small(budget, float(costs[0]))
            score = StateScore(points.weight[chosen], points.bias[chosen], basis=basis)
            policy = ThresholdPolicy(fitted, score, torch.zeros_like(costs), task.num_classes)
            limit = max(coarse.cost)
            if limit < budget and points.cost[chosen] == limit:
                policy.note = f"unreachable: no λ spends more than {limit:.4f} of the plain backbone"
            return policy

        return [answer(budget) for budget in budgets]


@dataclass(frozen=True)
class Points:
    """Rules for P values of λ: leave if basis · weight + bias >= 0, and the mean cost of each on val."""

    lam: list[float]
    weight: Tensor  # [P, G, B]
    bias: Tensor  # [P, G]
    cost: list[float]

    def join(self, other: Points) -> Points:
        """Return both sets of rules as one."""
        weight, bias = torch.cat([self.weight, other.weight]), torch.cat([self.bias, other.bias])
        return Points(self.lam + other.lam, weight, bias, self.cost + other.cost)

    def choose(self, budget: float) -> int | None:
        """Return the rule with the largest cost within a budget (ties go to the smallest λ), None if all cost more."""
        within = [i for i, cost in enumerate(self.cost) if cost <= budget]
        return max(within, key=lambda i: (self.cost[i], -self.lam[i]), default=None)

    def around(self, budget: float, count: int) -> list[float]:
        """Return `count` finite λ between those adjacent λ of which one costs more than the budget and one does not."""
        within = [cost <= budget for cost in self.cost]
        pairs = [(i, i + 1) for i in range(len(within) - 1) if within[i] != within[i + 1]]
        low, high = max(pairs, key=lambda pair: min(self.cost[i] for i in pair), default=(0, 0))
        if low == high or self.lam[high] == INF:
            return []
        space = np.geomspace if self.lam[low] > 0 else np.linspace
        return space(self.lam[low], self.lam[high], count + 2)[1:-1].tolist()


class Stopping:
    """The value recursion for samples in random order: basis [N, G, B], wrong [N, K] in {0, 1}, costs [K]."""

    def __init__(self, basis: Tensor, wrong: Tensor, costs: Tensor, folds: int, ridge: float) -> None:
        self.basis, self.wrong, self.costs = basis, wrong, costs
        self.gates = [Ridge(x, min(folds, len(x)), ridge) for x in basis.unbind(1)]

    def solve(self, lam: Sequence[float]) -> Points:
        """Return the rules of these λ >= 0; at λ = ∞ all samples leave at the first exit."""
        slope = torch.as_tensor(list(lam), dtype=torch.float64, device=self.costs.device)
        end = slope.isinf()
        slope = torch.where(end, 0.0, slope)
        value = self.wrong[:, -1:] + slope * self.costs[-1]  # [N, P]: the cost of continuing from here
        weight = self.basis.new_zeros(len(slope), *self.basis.shape[1:])
        bias = self.basis.new_ones(weight.shape[:2])
        leave = torch.ones(len(slope), *self.basis.shape[:2], dtype=torch.bool, device=slope.device)
        for k in reversed(range(len(self.gates))):
            now = self.wrong[:, k, None] + slope * self.costs[k]
            gain, w, b = self.gates[k].fit(value - now)  # of leaving: v_k - e_k - λ·c_k
            value = torch.where(gain.round(decimals=DIGITS) >= 0, now, value)
            weight[~end, k], bias[~end, k] = w.T[~end], b[~end]
            leave[:, :, k] = ((self.basis[:, k] @ weight[:, k].T + bias[:, k]).round(decimals=DIGITS) >= 0).T
        return Points(list(lam), weight, bias, mean_cost(first_true(leave), self.costs).tolist())
