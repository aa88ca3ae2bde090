"""EENet's learned exit scheduler (Ilhan et al., WACV 2024), repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from bench.methods.eenet.losses import chain, describe
from bench.methods.eenet.schedule import Trainer
from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, ThresholdPolicy, rule_fractions, too_small
from bench.rules.rates import rate_thresholds


@dataclass(frozen=True)
class EENetConfig:
    """The heads, the two losses, and the training schedule."""

    heads: str = "plain"
    restarts: int = 5
    rounds: int = 5  # of one phase of scores and one of plans each
    steps: int = 20  # batches per phase
    batch_size: int = 128
    lr: float = tunable(0.01, 1e-3, 0.1, log=True)
    weight_decay: float = 0.01
    alpha_ce: float = tunable(1e-3, 1e-4, 1e-1, log=True)
    alpha_cost: float = tunable(1e-2, 1e-3, 1.0, log=True)
    beta: float = tunable(1.0, 0.5, 4.0)
    ratio: float = 0.5  # hidden units of a plan per input
    top: int = 5  # probabilities that a plan sees, the largest first
    clip: bool = False  # whether a sample leaves by its score clipped to [0, 1]

    def __post_init__(self) -> None:
        if min(self.restarts, self.rounds, self.steps, self.batch_size, self.top) < 1:
            raise ValueError("restarts, rounds, steps, batch_size and top must be at least 1.")
        if min(self.lr, self.alpha_cost, self.ratio, self.beta) <= 0 or min(self.alpha_ce, self.weight_decay) < 0:
            raise ValueError("lr, alpha_cost, ratio and beta must be positive, alpha_ce and weight_decay not negative.")


class LinearScore(Score):
    """Score exit k by <a_k, p_k> + <b_k, (max p_k, 1 - H_k/log C)> + Σ_{j<k} c_kj·q_j, q_j clipped to [0, 1].

    With `clip`, the result is clipped too.
    """

    own: Tensor
    earlier: Tensor

    def __init__(self, own: Tensor, earlier: Tensor, clip: bool = False) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("own", own.detach().clone())  # [K, C + 2]
        self.register_buffer("earlier", earlier.detach().clone())  # [K, K]

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return self._scores(logits)[:, k]

    def macs(self, k: int, classes: int) -> int:
        """Count softmax and entropy (2 C), the linear part (C + 2), and the k scores kept from earlier exits."""
        return 3 * classes + 2 + k

    def all(self, logits: Tensor) -> Tensor:
        return self._scores(logits)[:, :-1]

    def _scores(self, logits: Tensor) -> Tensor:
        base = (describe(logits) * self.own[: logits.shape[1]]).sum(-1)
        scores = chain(base.unbind(1), self.earlier).double()
        return scores.clamp(0, 1) if self.clip else scores


class EENet(Method):
    """EENet: linear scores and planned exit rates per budget, trained alternately on val (Ilhan et al., WACV 2024).

    Score q_k = <a_k, p_k> + <b_k, (max p_k, 1 - H_k/log C, q_1 … q_k-1)>, clipped to [0, 1], earlier scores detached.
    Plan P_n = softmax over exits of r_nk, a one-hidden-layer sigmoid MLP of the same inputs. Losses on val: the scores'
    loss is BCE(q_nk, correct) weighted by P_nk / Σ_n P_nk, the plan's is alpha_ce·KL(q^beta, normalised ‖ P)/K +
    alpha_cost·|planned cost - B|/B. The rates mean_n P_n become quotas: T_k lets that share leave in order of q_k, and
    a sample leaves at the first k with q_k >= T_k. Only q is computed at inference, and counted.

    Repaired: every loss is defined and per sample; gradients start from zero at every step; the kept state is a copy; r
    has no sigmoid before the softmax, which limited P to the range from 1/(1+(K-1)e) to e/(e+K-1).

    Differences: MACs replace measured ms. AdamW at lr 0.01 for 5 rounds of 20 batches of 128 per phase replaces Adam at
    3e-5 for 1,000 epochs; within a phase the other part stays fixed. A plan starts from the most even rates that cost
    B, and sees the `top` largest probabilities in order instead of all C. Of all restarts and rounds planned within 10
    % of B (the original's tolerance) the most accurate on val is kept, its rates tilted (∝ rate·exp(-λ·cost)) to cost
    exactly B. Thresholds are set on the score before its clip, which breaks the ties at 0 and 1 (`clip=true`: after it,
    as in the release).

    Fit cost: `restarts` (5; the original's 10) trainings per budget, those of all budgets in one batch.
    """

    name: ClassVar[str] = "eenet"
    version: ClassVar[int] = 2
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="Adaptive Deep Neural Network Inference Optimization with EENet",
        authors="Ilhan, Chow, Hu, Huang, Tekin, Wei, Wu, Lee, Kompella, Latapie, Liu, Liu",
        venue="WACV",
        year=2024,
        link="https://arxiv.org/abs/2301.07099",
        family="learned",
        basis="checked against the authors' code",
        detail="inputs, scores, losses and thresholds, equal to rounding; the schedule of the training differs and "
        "faults of the release are repaired",
    )
    Config: ClassVar[type] = EENetConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Train all schedules on val at once and solve the thresholds of each budget's best one."""
        fitted = heads.fit(self.config.heads, task)
        logits, classes = fitted.logits(task.val), task.num_classes
        empty = torch.zeros(0, classes + 2)
        costs = rule_fractions(task, fitted, lambda k: LinearScore(empty, empty).macs(k, classes))
        cheapest = float(costs[0])
        wanted = [b for b in budgets if b >= cheapest]
        policies: dict[float, Policy] = {}
        if wanted:
            best = Trainer(logits, task.val.labels, costs, wanted, self.config, task.seed).run()
            for b, own, earlier, rates in zip(wanted, best.own, best.earlier, best.rates, strict=True):
                score = LinearScore(own, earlier, self.config.clip)
                thresholds = rate_thresholds(score.all(logits), rates, costs, b)
                policies[b] = ThresholdPolicy(fitted, score, thresholds, classes)
        return [policies[b] if b in policies else too_small(b, cheapest) for b in budgets]
