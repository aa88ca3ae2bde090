"""JEI-DNN: jointly learned gates and inference modules (Regol, Chataoui, Coates, ICLR 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bench import heads, logistic
from bench.bilevel import Bilevel, Schedule, cross_entropy
from bench.costs import linear_macs
from bench.curve import Curve, Grid
from bench.exits import first_true, mean_cost, uncertainty_features
from bench.gates import Counting, Gates, Reading, gate_targets, positive_weight
from bench.heads.recipe import Heads
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.rules import HeadsPolicy, exit_fractions, too_small

PRESETS: dict[str, dict[str, Any]] = {
    "ours": {"solver": "newton", "im_loss": "uniform", "cost": "macs", "pos_weight": "none", "reading": "cumulative"},
    "paper": {
        "solver": "sgd",
        "im_loss": "expected",
        "cost": "layers",
        "pos_weight": "cumulative",
        "reading": "clipped",
        "phases": "continue",
        "warmup": "fixed",
        "warmup_epochs": 4,
    },
    "released": {
        "solver": "sgd",
        "im_loss": "uniform",
        "cost": "macs",
        "pos_weight": "released",
        "reading": "clipped",
        "phases": "restart",
        "warmup": "dynamic",
        "warmup_epochs": 6,
    },
}
COMMON = {
    "phases": "continue",
    "warmup": "fixed",
    "warmup_epochs": 4,
}  # of training by SGD, where a preset does not say


@dataclass(frozen=True)
class JEIDNNConfig:
    """A preset, and options that override it one by one (None: as the preset has it)."""

    preset: Literal["ours", "paper", "released"] = "ours"
    solver: Literal["newton", "sgd"] | None = None
    im_loss: Literal["uniform", "expected"] | None = None
    cost: Literal["macs", "layers"] | None = None
    pos_weight: Counting | None = None
    reading: Reading | None = None
    phases: Literal["continue", "restart"] | None = None
    warmup: Literal["fixed", "dynamic"] | None = None
    warmup_epochs: int | None = None
    gate_data: Literal["val", "train"] = "val"
    heads: str = "plain"
    epochs: int = 15
    batch_size: int = 64
    lr: float = 0.01
    points: int = 24

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points={self.points} is not a grid of λ; give 2 or more")
        if self.option("solver") == "newton" and self.option("im_loss") == "expected":
            raise ValueError("im_loss=expected trains the heads with the gates, which only solver=sgd does")
        if self.option("solver") == "sgd" and self.heads != "plain":
            raise ValueError(f"solver=sgd trains linear heads of its own; heads={self.heads} needs solver=newton")

    def option(self, name: str) -> Any:
        """Return an option as it was given, else as the preset has it."""
        given = getattr(self, name)
        return (COMMON | PRESETS[self.preset])[name] if given is None else given


class JEIDNN(Method):
    """Learned gates on uncertainty features, one linear gate per exit, trained with the heads (JEI-DNN).

    Gate l sees (p_max, entropy, margin, entropy of p²/Σp²) of its exit. Gates learn the surrogate targets 1[l >= l*]
    with l* = argmin_l CE_l + λ·c_l. One fit covers a grid of λ as a batch dimension; then λ is refined between the
    neighbours around each budget, and the λ of largest val cost within the budget is taken.

    Presets: `paper` is the bilevel algorithm as the paper means it, `released` is what the authors' code computes,
    `ours` (default) is the same idea with corrections. They differ in:

    - im_loss: `expected`, Σ_l P_l·CE_l with P detached (paper), or `uniform`, the plain mean (released: its per-sample
      weights cancel exactly). Uniform heads do not depend on λ; ours are the shared `heads` recipe, any of them.
    - reading: the targets are cumulative, so a gate estimates that the best exit is at or before it. `cumulative`
      (ours) reads it so and leaves at the first g >= 0.5; `clipped` (paper, released) takes g for the marginal
      probability of leaving there (`bench.exits.exit_distribution`), whose sum soon passes 1, so that late exits are
      hardly ever reached.
    - pos_weight: of positive targets, min((N-n_l)/n_l, 5) with n_l the val samples with l* = l (released) or l* <= l
      (`cumulative`; the paper leaves it open, the authors' later code counts so), or `none` (ours: a weight moves the
      point where g = 0.5 away from even odds).
    - solver: `sgd` alternates 200 batches of gates and 200 of heads, the count continuing across epochs (paper) or
      restarting with the gates at each epoch (released). `newton` (ours) fits gates to the optimum of their convex
      loss on given heads, on val by default: heads that have memorised their train split leave nothing to doubt there.
    - cost: c_l as a share of the MACs, heads and gates counted (released, ours), or (l+1)/L (the paper's figures).

    Heads under `sgd` see features standardised on train; this stands for the LayerNorm before them in the original.
    """

    name: ClassVar[str] = "jeidnn"
    Config: ClassVar[type] = JEIDNNConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Fit a coarse λ grid in one go, refine it around the budgets in one go, then choose a λ per budget on val."""
        coarse = torch.cat([torch.zeros(1), torch.logspace(-2.5, 1.5, self.config.points - 1)]).double()
        grid = Grid(self._fit(task, coarse), budgets)
        rounds, finer = (3, 8) if self.config.option("solver") == "newton" else (1, 3)
        for _ in range(rounds):
            lam, owners = grid.refinement(finer)
            if len(lam):
                grid.add(self._fit(task, lam), owners)
        return [self._answer(task, grid, b) for b in range(len(budgets))]

    def curve(self, task: Task, lam: Sequence[float]) -> list[Policy]:
        """Return one policy per λ, all from one fused fit, no budgets involved."""
        curve = self._fit(task, torch.tensor(list(lam), dtype=torch.float64))
        return [self._policy(task, curve, i) for i in range(len(curve.lam))]

    def _answer(self, task: Task, grid: Grid, budget: int) -> Policy | Infeasible:
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
        return GatedPolicy(curve.head(point), curve.gates.at(point), task.num_classes)

    def _fit(self, task: Task, lam: Tensor) -> Curve:
        c = self.config
        if c.option("solver") == "newton":
            fitted: Sequence[Heads] = [heads.fit(c.heads, task)]
            costs = self._costs(task, fitted[0].macs)
            gates = self._newton(task, fitted[0], costs, lam.to(task.device))
        else:
            costs = self._costs(task, lambda k: linear_macs(task.train.features[k].shape[1], task.num_classes))
            fitted, gates = self._bilevel(task, costs, lam).run()
        return Curve(lam, fitted, gates, val_cost(task.val, fitted, gates, costs))

    def _costs(self, task: Task, head_macs: Callable[[int], int]) -> Tensor:
        gates, each = task.num_exits - 1, gate_macs(task.num_classes)
        return exit_fractions(task, lambda k: head_macs(k) + each if k < gates else 0).to(task.device)

    def _target_costs(self, costs: Tensor) -> Tensor:
        if self.config.option("cost") == "layers":
            return torch.arange(1, len(costs) + 1, dtype=costs.dtype, device=costs.device) / len(costs)
        return costs / costs[-1]

    def _bilevel(self, task: Task, costs: Tensor, lam: Tensor) -> Bilevel:
        c = self.config
        schedule = Schedule(
            epochs=c.epochs,
            warmup=c.option("warmup"),
            warmup_epochs=c.option("warmup_epochs"),
            batch_size=c.batch_size,
            restart=c.option("phases") == "restart",
            lr=c.lr,
        )
        return Bilevel(
            task,
            lam,
            self._target_costs(costs),
            schedule,
            weighted=c.option("im_loss") == "expected",
            counting=c.option("pos_weight"),
            reading=c.option("reading"),
        )

    def _newton(self, task: Task, fitted: Heads, costs: Tensor, lam: Tensor) -> Gates:
        """Fit the gates of all λ to the optimum of their loss on given heads."""
        c, cost = self.config, self._target_costs(costs)
        data = task.val if c.gate_data == "val" else task.train
        logits = fitted.logits(data)
        targets = gate_targets(cross_entropy(logits.double(), data.labels), cost, lam[:, None, None])
        counted = targets
        if c.gate_data == "train" and c.option("pos_weight") != "none":
            losses = cross_entropy(fitted.logits(task.val).double(), task.val.labels)
            counted = gate_targets(losses, cost, lam[:, None, None])
        features = uncertainty_features(logits[:, :-1])
        weight, bias = logistic.solve(features, targets, positive_weight(counted, c.option("pos_weight")))
        return Gates(weight.float(), bias.float(), c.option("reading"))


class GatedPolicy(HeadsPolicy):
    """Heads with JEI-DNN's gates at one λ."""

    def __init__(self, heads: Heads, gates: Gates, classes: int) -> None:
        super().__init__(heads, gates.weight.shape[-2] + 1)
        self.gates, self.classes = gates, classes

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return self.gates.leave(uncertainty_features(logits))[:, k]

    def gate_macs(self, k: int) -> int:
        return gate_macs(self.classes)


def gate_macs(classes: int) -> int:
    """Count one gate, 9C + 6: the four features of C probabilities and the linear unit, as the original counts them."""
    return 9 * classes + 6


def val_cost(val: ExitData, fitted: Sequence[Heads], gates: Gates, costs: Tensor) -> Tensor:
    """Return the mean cost [P] on val of gates for P operating points, on one set of heads or one per point."""
    each = len(gates) if len(fitted) == 1 else 1
    means = []
    for h, own in zip(fitted, gates.split(each), strict=True):
        features = uncertainty_features(h.logits(val)[:, :-1])
        means += [mean_cost(first_true(part.leave(features)), costs) for part in own.split(16)]
    return torch.cat(means).cpu()
