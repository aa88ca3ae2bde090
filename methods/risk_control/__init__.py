"""Early exits with controlled risk (Jazbec, Timans et al., Fast yet Safe, NeurIPS 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from bench.methods.risk_control.levels import BOUND_OF_LOSS, boldest, exit_losses, promised
from torch import Tensor

from bench import heads
from bench.budgets import threshold_exits
from bench.exits import at_exits, mean_cost
from bench.method import ExitData, Fidelity, Infeasible, Method, Policy, Task
from bench.recipe import Heads
from bench.rules import Pointwise, ThresholdPolicy, max_probability, rule_fractions, too_small

COARSE = 0.02  # of the backbone's cost: if more of a budget is unspent, the policy gets a note


@dataclass(frozen=True)
class RiskControlConfig:
    """The heads, the risk and its bound, and the guaranteed ε; without ε, each budget chooses its own."""

    heads: str = "plain"
    loss: Literal["prediction_gap", "consistency", "brier_gap", "brier_gap_top"] = "prediction_gap"
    bound: Literal["ucb_wsr", "ltt", "crc", "naive"] = "ucb_wsr"
    epsilon: float | None = None
    delta: float = 0.1
    grid: int = 501

    def __post_init__(self) -> None:
        if self.epsilon is not None and self.epsilon <= 0:
            raise ValueError(f"epsilon={self.epsilon:g} is not a valid risk; give a number above 0")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta={self.delta:g} is not a valid probability; give a number between 0 and 1")
        if self.grid < 2:
            raise ValueError(f"grid={self.grid} must be at least 2, so that there are thresholds to choose from")


class RiskControl(Method):
    """The lowest confidence threshold whose risk against the full model is bounded by ε (Fast yet Safe, Jazbec et al.).

    A sample leaves at the first exit with p_max >= λ. `bench.methods.risk_control.levels` says at which ε each λ may be
    used: `naive` (mean loss), `crc` (E[risk] <= ε), `ltt` and `ucb_wsr` (P(risk <= ε) >= 1 - δ). λ takes up to `grid`
    of the values of p_max that occur, at even ranks from the highest to the lowest, and the two ends at which no sample
    and every sample leaves. The original's grid, 1, 0.99, …, 0 and p_max > λ, has few distinct policies where heads are
    confident.

    Unlike the original, LTT stops *before* the first hypothesis that it cannot reject, and CRC's losses are made
    monotone. The other differences are in `levels`.

    With `epsilon` fixed, the boldest λ allowed at ε is the policy of every budget that its val cost meets, and other
    budgets are infeasible. The guarantee holds only if nothing else has seen the calibration samples: heads select
    their epochs on one random half of val, which also gives the grid, and the other half calibrates. It holds for data
    drawn like val.

    Risk control has no budgets of its own. Without `epsilon`, a budget gets the smallest ε whose controlled policy
    costs at most b on val, on the heads that other methods have. Such an ε depends on the samples that certify it.
    Splitting val would not help, since the budget must hold on both halves: the note gives ε and says that it is not a
    guarantee.
    """

    name: ClassVar[str] = "risk_control"
    version: ClassVar[int] = 2
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Fast yet Safe: Early-Exiting with Risk Control",
        authors="Jazbec, Timans, Hadži Veljković, Sakmann, Zhang, Naesseth, Nalisnick",
        venue="NeurIPS",
        year=2024,
        link="https://arxiv.org/abs/2405.20915",
        family="risk",
        basis="checked against the authors' code",
        detail="UCB-WSR with B = 1 and CRC on monotone losses; other priors for Brier losses, two faults of LTT "
        "repaired, another grid",
    )
    Config: ClassVar[type] = RiskControlConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Certify every threshold of the grid at once, then select one per budget."""
        c, score = self.config, Pointwise(max_probability)
        task_of_heads, calibration = split(task, c.epsilon is not None)
        fitted = heads.fit(c.heads, task_of_heads)
        seen = score.all(fitted.logits(task_of_heads.val))
        rows = grid(seen, c.grid)[:, None].expand(-1, task.num_exits)
        costs = rule_fractions(task, fitted, lambda k: score.macs(k, task.num_classes))
        cost = mean_cost(threshold_exits(score.all(fitted.logits(task.val)), rows), costs)
        levels = promised(c.bound, self._losses(fitted, calibration, rows), BOUND_OF_LOSS[c.loss], c.delta)
        return [self._policy(b, task, fitted, rows, cost, levels) for b in budgets]

    def _losses(self, fitted: Heads, data: ExitData, rows: Tensor) -> Tensor:
        answers = fitted.logits(data)
        exits = threshold_exits(max_probability(answers[:, :-1]), rows)
        return at_exits(exit_losses(self.config.loss, answers, data.labels), exits)

    def _policy(
        self, budget: float, task: Task, fitted: Heads, rows: Tensor, cost: Tensor, levels: Tensor
    ) -> Policy | Infeasible:
        within = torch.nonzero(cost <= budget).flatten()
        if not len(within):
            return too_small(budget, float(cost.min()))
        fixed = self.config.epsilon
        epsilon = float(levels[int(within[0]) :].min()) if fixed is None else fixed
        point = int(boldest(levels, epsilon))
        spent = float(cost[point])
        if spent > budget:
            return Infeasible(
                f"the boldest policy with {self.config.loss} at most {epsilon:g} ({self.config.bound}) costs "
                f"{spent:.4f} of the plain backbone, above the budget {budget:g}"
            )
        policy = ThresholdPolicy(fitted, Pointwise(max_probability), rows[point], task.num_classes)
        policy.note = (
            self._promise(epsilon) if fixed is not None else self._wish(epsilon, budget - spent if point else 0.0)
        )
        return policy

    def _promise(self, epsilon: float) -> str:
        c = self.config
        risk = f"{c.loss} <= {epsilon:g}"
        if c.bound == "naive":
            return f"no guarantee: the mean loss of calibration, {risk}, is not corrected for chance"
        sure = "on average" if c.bound == "crc" else f"with probability {1 - c.delta:g}"
        return f"guarantee ({c.bound}): {risk} {sure} over the half of val that calibrates"

    def _wish(self, epsilon: float, unspent: float) -> str:
        c = self.config
        vacuous = ", which says nothing" if epsilon >= BOUND_OF_LOSS[c.loss] else ""
        note = f"no guarantee: the budget chose epsilon={epsilon:.4f} ({c.loss}, {c.bound}, delta={c.delta:g}){vacuous}"
        return note + (f"; unreachable: the last {unspent:.3f} of the budget" if unspent > COARSE else "")


def grid(scores: Tensor, count: int) -> Tensor:
    """Return thresholds from +inf, at which no sample leaves early, down to -inf, at which all leave at the first exit.

    Between them are up to `count` of the scores [N, G] that occur, at even ranks and in falling order.
    """
    values = scores.flatten().unique().flip(0)
    if len(values) > count:
        ranked = scores.flatten().sort(descending=True).values
        values = ranked[torch.linspace(0, len(ranked) - 1, count, device=ranked.device).round().long()].unique().flip(0)
    ends = values.new_tensor([torch.inf]), values.new_tensor([-torch.inf])
    return torch.cat([ends[0], values, ends[1]])


def split(task: Task, halve: bool) -> tuple[Task, ExitData]:
    """Return the task that heads are fitted on and the calibration samples, in random order: all of val, or halves.

    With `halve`, one half of val goes to the heads. The halved task is kept in the shared cache, so that its heads are
    trained once.
    """
    n = len(task.val)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(task.seed)).to(task.device)
    if not halve:
        return task, _rows(task.val, order)
    key = ("risk_control", "halves")
    if key not in task.shared_cache:
        task.shared_cache[key] = replace(task, val=_rows(task.val, order[: max(1, n // 2)]), shared_cache={})
    return task.shared_cache[key], _rows(task.val, order[n // 2 :])


def _rows(data: ExitData, rows: Tensor) -> ExitData:
    return ExitData(tuple(x[rows] for x in data.features), data.final_logits[rows], data.labels[rows])
