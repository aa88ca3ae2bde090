"""JEI-DNN: jointly learned gates and inference modules (Regol, Chataoui, Coates, ICLR 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from bench.methods.jeidnn.bilevel import Bilevel, BilevelSchedule
from bench.methods.jeidnn.config import PRESETS, JEIDNNConfig
from bench.methods.jeidnn.curve import Curve, LambdaGrid, val_cost
from bench.methods.jeidnn.gates import GatedPolicy, Gates, gate_macs
from bench.methods.jeidnn.targets import exit_risk, gate_targets, positive_weight
from torch import Tensor

from bench import heads
from bench.exits import by_rows, uncertainty_features
from bench.method import ExitData, Fidelity, Infeasible, Method, Policy, Task
from bench.recipe import Heads, linear_macs
from bench.rules import exit_fractions, logistic, too_small

__all__ = ["JEIDNN", "PRESETS", "GatedPolicy", "JEIDNNConfig", "gate_macs", "gate_targets", "val_cost"]


class JEIDNN(Method):
    """Learned gates on uncertainty features, one linear gate per exit, trained with the heads (JEI-DNN).

    Gate l sees (p_max, entropy, margin, entropy of p²/Σp²) of its exit. Gates learn surrogate targets from the best
    exit, l* = argmin_l CE_l + λ·c_l. One fit covers a grid of λ as a batch dimension, up to λ = ∞, at which all samples
    leave at the first exit; then λ is refined between the neighbours around each budget, and the λ with the largest val
    cost that fits the budget is used.

    Presets: `paper` is the bilevel algorithm as the paper means it, `released` is what the authors' code computes,
    `ours` (default) is the same idea with corrections. They differ in:

    - im_loss: `expected`, Σ_l P_l·CE_l with P detached (paper), or `uniform`, the plain mean (released: its per-sample
      weights cancel exactly). Uniform heads do not depend on λ; ours are the shared `heads` recipe, any of them.
    - scheme: targets 1[l >= l*] (paper, released), or 1 where no later exit is better (`remaining`, ours): after l*
      the former teach a gate to leave even where a later exit is better.
    - reading: the targets are cumulative, so a gate estimates that the best exit is at or before it. `cumulative`
      (ours) reads it so and leaves at the first g >= 0.5; `clipped` (paper, released) reads g as the marginal
      probability of leaving there (`bench.exits.exit_distribution`), whose sum soon exceeds 1, so that late exits are
      hardly ever reached.
    - pos_weight: of positive targets, min((N-n_l)/n_l, 5) with n_l the val samples with l* = l (released) or l* <= l
      (`cumulative`; the paper does not say, the authors' later code counts so), or `none` (ours: a weight moves the
      point where g = 0.5 away from even odds).
    - solver: `sgd` alternates 200 batches of gates and 200 of heads, the count continuing across epochs (paper) or
      restarting with the gates at each epoch (released). `newton` (ours) fits gates to the optimum of their convex loss
      on given heads, by default on val: on the train split, heads that have memorised it leave no uncertainty to learn
      from.
    - cost: c_l as a share of the MACs, heads and gates counted (released, ours), or (l+1)/L (the paper's figures).

    Heads under `sgd` see features standardised on train; this replaces the LayerNorm before them in the original.
    `JEIDNNConfig` lists the other options from the original's history: other objectives, target schemes and decisions.
    """

    name: ClassVar[str] = "jeidnn"
    version: ClassVar[int] = 3
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Jointly-Learned Exit and Inference for a Dynamic Neural Network (JEI-DNN)",
        authors="Regol, Chataoui, Coates",
        venue="ICLR",
        year=2024,
        link="https://arxiv.org/abs/2310.09163",
        family="joint",
        basis="checked against the authors' code",
        detail="features, probabilities, 38,400 decisions, targets and 80 alternating steps of preset=released; the "
        "default, ours, trains gates alone on given heads",
    )
    Config: ClassVar[type] = JEIDNNConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Fit a coarse λ grid at once, refine it around all budgets at once, then choose a λ per budget on val."""
        ends = torch.tensor([0.0]), torch.tensor([torch.inf])
        coarse = torch.cat([ends[0], torch.logspace(-2.5, 1.5, self.config.points - 1), ends[1]]).double()
        grid = LambdaGrid(self._fit(task, coarse), budgets)
        rounds, finer = (3, 8) if self.config.option("solver") == "newton" else (1, 3)
        for _ in range(rounds):
            lam, budget_of = grid.refinement(finer)
            if len(lam):
                grid.add(self._fit(task, lam), budget_of)
        return [self._answer(task, grid, b) for b in range(len(budgets))]

    def curve(self, task: Task, lam: Sequence[float]) -> list[Policy]:
        """Return one policy per λ, all from one fused fit, without budgets."""
        curve = self._fit(task, torch.tensor(list(lam), dtype=torch.float64))
        return [self._policy(task, curve, i) for i in range(len(curve.lam))]

    def _answer(self, task: Task, grid: LambdaGrid, budget: int) -> Policy | Infeasible:
        wanted = grid.budgets[budget]
        chosen = grid.choose(budget)
        if chosen is None:
            return too_small(wanted, float(grid.curve.cost.min()))
        policy = self._policy(task, grid.curve, chosen)
        limit = float(grid.curve.cost[: grid.coarse].max())
        if limit < wanted and float(grid.curve.cost[chosen]) == limit:
            policy.note = f"unreachable: no λ spends more than {limit:.4f} of the plain backbone"
        return policy

    def _policy(self, task: Task, curve: Curve, point: int) -> GatedPolicy:
        return GatedPolicy(curve.head(point), curve.gates.at(point), task.num_classes, self._draw(task))

    def _draw(self, task: Task) -> int | None:
        return task.seed if self.config.decision == "prob" else None

    def _fit(self, task: Task, lam: Tensor) -> Curve:
        c = self.config
        if c.option("solver") == "newton":
            fitted: Sequence[Heads] = [heads.fit(c.heads, task)]
            costs = self._costs(task, fitted[0].macs)
            gates = self._newton(task, fitted[0], costs, lam.to(task.device))
        else:
            costs = self._costs(task, lambda k: linear_macs(task.train.features[k].shape[1], task.num_classes))
            fitted, gates = self._bilevel(task, costs, lam).run()
        gates = gates.opened(lam.isinf())  # where all targets are alike, a weighted or ridged loss does not fit them
        return Curve(lam, fitted, gates, val_cost(task.val, fitted, gates, costs, self._draw(task)))

    def _costs(self, task: Task, head_macs: Callable[[int], int]) -> Tensor:
        def added(k: int) -> int:
            coin = k == 0 and self.config.decision == "prob"
            return head_macs(k) + gate_macs(task.num_classes, coin=coin) if k < task.num_exits - 1 else 0

        return exit_fractions(task, added).to(task.device)

    def _target_costs(self, costs: Tensor) -> Tensor:
        if self.config.option("cost") == "layers":
            return torch.arange(1, len(costs) + 1, dtype=costs.dtype, device=costs.device) / len(costs)
        return costs / costs[-1]

    def _bilevel(self, task: Task, costs: Tensor, lam: Tensor) -> Bilevel:
        """Set up the alternating training of gates and heads."""
        o, c = self.config.option, self.config
        same = {name: o(name) for name in ("warmup", "warmup_epochs", "epochs", "batch_size", "lr")}
        return Bilevel(
            task,
            lam,
            self._target_costs(costs),
            BilevelSchedule(restart=o("phases") == "restart", **same),
            weighted=o("im_loss") != "uniform",
            single=o("im_loss") == "single",
            counting=o("pos_weight"),
            reading=o("reading"),
            objective=c.objective,
            scheme=o("scheme"),
            draw=self._draw(task),
        )

    def _newton(self, task: Task, fitted: Heads, costs: Tensor, lam: Tensor) -> Gates:
        """Fit the gates of all λ to the optimum of their loss on given heads."""
        c, cost = self.config, self._target_costs(costs)
        scheme = c.option("scheme")

        def targets(logits: Tensor, data: ExitData) -> Tensor:
            risk = by_rows(lambda part, labels: exit_risk(part.double(), labels, c.objective), logits, data.labels)
            return gate_targets(risk, cost, lam[:, None, None], scheme)

        data = task.val if c.gate_data == "val" else task.train
        logits = fitted.logits(data)
        taught = counted = targets(logits, data)
        if c.gate_data == "train" and c.option("pos_weight") != "none":
            counted = targets(fitted.logits(task.val), task.val)
        pos_weight = positive_weight(counted, c.option("pos_weight"), scheme)
        weight, bias = logistic.solve(by_rows(uncertainty_features, logits[:, :-1]), taught, pos_weight)
        return Gates(weight.float(), bias.float(), c.option("reading"))
