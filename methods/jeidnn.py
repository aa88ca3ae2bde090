"""JEI-DNN: jointly learned gates and inference modules (Regol, Chataoui, Coates, ICLR 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import heads, logistic
from bench.budgets import dearest_within
from bench.exits import first_true, mean_cost, uncertainty_features
from bench.gates import Gates
from bench.heads.fused import FusedHeads, HeadLoss
from bench.heads.plain import LinearHeads
from bench.heads.recipe import Heads
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.rules import exit_fractions, too_small


@dataclass(frozen=True)
class JEIDNNConfig:
    """Which head loss, what the gate target weighs cost by, and where gates are fitted."""

    im_loss: Literal["uniform", "expected"] = "uniform"
    cost: Literal["macs", "layers"] = "macs"
    pos_weight: Literal["none", "cumulative", "released"] = "none"
    gate_data: Literal["val", "train"] = "val"
    reading: Literal["cumulative", "clipped"] = "cumulative"
    heads: str = "plain"
    points: int = 0
    rounds: int = 4
    batches: int = 200
    batch_size: int = 256
    lr: float = 0.01

    def __post_init__(self) -> None:
        if self.points < 0 or self.points == 1:
            raise ValueError(f"points={self.points} is not a grid; give 2 or more, or 0 for the default")


class JEIDNN(Method):
    """Learned gates on uncertainty features, one linear gate per exit, trained with the heads (JEI-DNN).

    Gate l sees (p_max, entropy, margin, entropy of p²/Σp²) of its exit. Gates learn the surrogate targets 1[l >= l*]
    with l* = argmin_l CE_l + λ·c_l. One fit covers a whole grid of λ as a batch dimension; for each budget the λ of
    largest val cost within it is taken.

    im_loss: `uniform` is what the released code computes (its per-sample weights cancel, so heads do not depend on
    λ and are the shared `heads` recipe); `expected` is what the paper describes, Σ_l P_l·CE_l with P detached, trained
    in rounds that alternate with the gates, starting from those heads. cost: `macs` counts heads and gates (the
    released code), `layers` is (l+1)/L (the runs behind the paper's figures). pos_weight: `none`, or
    min((N−n_l)/n_l, 5) with n_l counting l* = l (`released`) or l* <= l (`cumulative`, which matches the targets).

    reading: the targets are cumulative, so a gate estimates that the best exit is at or before it. `cumulative` reads
    it so and leaves at the first gate with g >= 0.5; `clipped` is the original, which takes g for the marginal
    probability of leaving there (`bench.exits.exit_distribution`): small doubts add up, and late exits are hardly ever
    reached.

    Differs from the original: gates are fitted to the optimum of their convex loss by Newton's method instead of SGD,
    and on val by default, because heads that have memorised a small train split leave nothing to doubt there.
    """

    name: ClassVar[str] = "jeidnn"
    Config: ClassVar[type] = JEIDNNConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Fit gates (and, for `expected`, heads) for the whole λ grid, then choose a λ per budget on val."""
        base = heads.fit(self.config.heads, task)
        gate_macs = 9 * task.num_classes + 6  # the four features and the linear gate, as the original counts them
        costs = exit_fractions(task, lambda k: base.macs(k) + gate_macs * (k < task.num_exits - 1)).to(task.device)
        lam = self._grid().to(task.device)
        if self.config.im_loss == "uniform":
            gates = self._gates(task, base, costs, lam)
            fitted = [base] * len(lam)
            realised = self._val_cost(task.val, base, gates, costs)
        else:
            fitted, gates = self._joint(task, base, costs, lam)
            parts = zip(fitted, gates.split(), strict=True)
            realised = torch.cat([self._val_cost(task.val, h, g, costs) for h, g in parts])
        return [
            too_small(b, float(realised.min())) if i is None else GatedPolicy(fitted[i], gates.at(i), gate_macs)
            for b, i in zip(budgets, dearest_within(realised, budgets), strict=True)
        ]

    def _grid(self) -> Tensor:
        default = 129 if self.config.im_loss == "uniform" else 24
        return torch.logspace(-3, 1.5, self.config.points or default, dtype=torch.float64)

    def _joint(self, task: Task, base: Heads, costs: Tensor, lam: Tensor) -> tuple[list[LinearHeads], Gates]:
        """Alternate gates (to their optimum) and heads (a number of batches on Σ P·CE) for all λ at once."""
        c = self.config
        if not isinstance(base, LinearHeads):
            raise ValueError(f"im_loss=expected trains linear heads; '{c.heads}' are {type(base).__name__}")
        joint = FusedHeads(base, task.train, len(lam), lr=c.lr, seed=task.seed)
        fitted = [base] * len(lam)
        for turn in range(c.rounds + 1):
            gates = Gates.cat([self._gates(task, h, costs, part) for h, part in zip(fitted, lam.split(1), strict=True)])
            if turn < c.rounds:
                joint.train(expected_loss(gates), batches=c.batches, batch_size=c.batch_size)
                fitted = joint.split()
        return fitted, gates

    def _gates(self, task: Task, fitted: Heads, costs: Tensor, lam: Tensor) -> Gates:
        c = self.config
        cost = costs if c.cost == "macs" else torch.arange(1, len(costs) + 1, device=costs.device) / len(costs)
        data = task.val if c.gate_data == "val" else task.train
        logits = fitted.logits(data)
        targets = gate_targets(exit_losses(logits, data.labels), cost, lam[:, None, None])
        val_logits = logits if c.gate_data == "val" else fitted.logits(task.val)
        val_targets = gate_targets(exit_losses(val_logits, task.val.labels), cost, lam[:, None, None])
        features = uncertainty_features(logits[:, :-1])
        weight, bias = logistic.solve(features, targets, positive_weight(val_targets, c.pos_weight))
        return Gates(weight.float(), bias.float(), c.reading)

    @staticmethod
    def _val_cost(val: ExitData, fitted: Heads, gates: Gates, costs: Tensor) -> Tensor:
        features = uncertainty_features(fitted.logits(val)[:, :-1])
        return torch.cat([mean_cost(first_true(g.leave(features)), costs) for g in gates.split(16)])


class GatedPolicy(Policy):
    """Heads with JEI-DNN's gates at one λ."""

    def __init__(self, fitted: Heads, gates: Gates, gate_macs: int) -> None:
        super().__init__()
        self.heads, self.gates, self.gate_macs = fitted, gates, gate_macs

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        return self.heads(k, features, previous)

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return self.gates.leave(uncertainty_features(logits))[:, k]

    def macs(self, k: int) -> int:
        return self.heads.macs(k) + (self.gate_macs if k < self.gates.weight.shape[-2] else 0)


def gate_targets(losses: Tensor, costs: Tensor, lam: float | Tensor) -> Tensor:
    """Return the surrogate targets 1[l >= argmin_l (loss_l + lam·cost_l)] of the gates, [..., K-1], as losses' dtype.

    losses [..., K] per sample and exit, costs [K], lam a number or broadcastable to losses; ties go to the earliest
    exit. Source: Regol et al. 2024, the released code's surrogate.
    """
    best = (losses + lam * costs.to(losses.device)).argmin(-1, keepdim=True)
    gates = torch.arange(losses.shape[-1] - 1, device=losses.device)
    return (gates >= best).to(losses.dtype)


def positive_weight(targets: Tensor, count: Literal["cumulative", "released", "none"]) -> Tensor:
    """Return the weight [P, G] of positive targets, min((N - n_l) / max(n_l, 0.1), 5), from targets [P, N, G].

    n_l counts the samples told to leave at l or earlier (`cumulative`: the positives themselves) or exactly at l
    (`released`, as the released code counts); `none` weighs all alike.
    """
    if count == "none":
        return torch.ones_like(targets[:, 0])
    positive = targets if count == "cumulative" else targets.diff(dim=-1, prepend=torch.zeros_like(targets[..., :1]))
    hits = positive.sum(1)
    return ((targets.shape[1] - hits) / hits.clamp_min(0.1)).clamp_max(5)


def exit_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy [N, K] (nats, float64) of logits [N, K, C] with labels [N]."""
    log_p = logits.double().log_softmax(-1)
    return -log_p.gather(-1, labels[:, None, None].expand(-1, log_p.shape[1], 1)).squeeze(-1)


def expected_loss(gates: Gates) -> HeadLoss:
    """Return the paper's head loss: mean over samples of Σ_l P_l·CE_l with P detached, summed over operating points."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            marginal = gates.marginal(uncertainty_features(logits))
        target = labels[None, :, None].expand(logits.shape[:-1])
        entropy = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), target, reduction="none")
        return (marginal * entropy).sum(-1).mean(-1).sum()

    return loss
