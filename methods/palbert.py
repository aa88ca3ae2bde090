"""Q-exit: leave when the cumulative exit probability passes q (Balagansky & Gavrilov, PALBERT, NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, one_threshold
from bench.rules.states import DIGITS, state, state_macs, states

LARGEST_LOSS = 20.0  # nats: a saturated mistake of 1e4 would dominate the loss
STEPS = 100


@dataclass(frozen=True)
class PALBERTConfig:
    """The heads, the prior's probability of leaving at an exit, the prior's weight, and the ridge of the λ layers."""

    heads: str = "plain"
    prior: float = tunable(0.1, 0.02, 0.9, log=True)
    beta: float = tunable(0.5, 0.01, 5.0, log=True)
    ridge: float = tunable(1e-3, 1e-5, 1e-1, log=True)

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ValueError(f"prior={self.prior:g} must be a probability between 0 and 1")
        if self.beta < 0 or self.ridge <= 0:
            raise ValueError(f"beta={self.beta:g} cannot be negative, and ridge={self.ridge:g} must be positive")


class HazardScore(Score):
    """-log(1 - F_k), F_k the probability of having left by exit k: the sum of softplus(z_j), λ_j = sigmoid(z_j)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """Take weight [G, F] and bias [G] of the λ layers on the states."""
        super().__init__()
        self.register_buffer("weight", weight.double())
        self.register_buffer("bias", bias.double())

    def forward(self, k: int, logits: Tensor) -> Tensor:
        return self._sum(torch.stack([state(j, logits[:, : j + 1]) for j in range(k + 1)], 1))[:, -1]

    def macs(self, k: int, classes: int) -> int:
        return state_macs(classes) + self.weight.shape[1] + 1  # the sum over earlier exits is carried along

    def all(self, logits: Tensor) -> Tensor:
        return self._sum(states(logits))

    def _sum(self, inputs: Tensor) -> Tensor:
        gates = inputs.shape[1]
        z = (inputs * self.weight[:gates]).sum(-1) + self.bias[:gates]
        return softplus(z).cumsum(1).round(decimals=DIGITS)


class PALBERT(Method):
    """Leave when the cumulative exit probability of λ layers passes q: Q-exit (PALBERT, Balagansky & Gavrilov).

    λ_k is the probability of leaving at exit k for a sample that reaches it, p_k = λ_k Π_{j<k} (1 - λ_j); the last exit
    takes the rest. As in PonderNet the layers minimise Σ_k p_k CE_k + β·KL(prior ‖ p) with a truncated geometric prior
    of rate `prior`. PonderNet leaves at random with probability λ_k; Q-exit leaves at the first k with F_k = Σ_{j<=k}
    p_j >= q, which is deterministic. For a budget, q is found by bisection over the values that occur on val, on the
    scale of -log(1 - F), which does not saturate. One set of λ layers serves all budgets: far from the cost of the
    prior, F differs more between exits than between samples.

    Source: NeurIPS 2022, https://arxiv.org/abs/2204.03276, code tinkoff-ai/palbert; loss, direction of the KL, prior
    rate 0.1 and β = 0.5 as there (q = 0.5). Differences: heads are given and frozen, so CE_k trains the λ layers alone,
    on val, because heads fit their train split too well. A λ layer is one linear layer per exit on the state of
    `bench.rules.states`, which describes the exit's answer and its agreement with earlier ones; the original has three
    tanh layers on the hidden states of this layer and the one before. Losses are cut off at 20 nats. Full-batch L-BFGS
    from λ = prior with a ridge penalty replaces Adam.
    """

    name: ClassVar[str] = "palbert"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="PALBERT: Teaching ALBERT to Ponder (Q-exit)",
        authors="Balagansky, Gavrilov",
        venue="NeurIPS",
        year=2022,
        link="https://arxiv.org/abs/2204.03276",
        family="learned",
        basis="assumed in part",
        detail="rule and loss follow the authors' code, read and not run; λ layers see answers, not hidden states",
    )
    Config: ClassVar[type] = PALBERTConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Train the λ layers of all exits on val, then find q for every budget."""
        fitted = heads.fit(self.config.heads, task)
        logits = fitted.logits(task.val)
        rows = task.val.labels[:, None, None].expand(-1, logits.shape[1], 1)
        loss = -logits.double().log_softmax(-1).gather(-1, rows).squeeze(-1)
        score = HazardScore(*self._train(states(logits), loss.clamp_max(LARGEST_LOSS)))
        return one_threshold(task, budgets, fitted, score)

    def _train(self, inputs: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight [G, F] and bias [G] for states [N, G, F] and the exits' losses [N, K]."""
        c, (_, gates, features) = self.config, inputs.shape
        std, mean = torch.std_mean(inputs, 0, correction=0)
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        x, prior = (inputs - mean) / std, geometric(c.prior, gates).to(loss)
        weight = x.new_zeros(gates, features, requires_grad=True)
        bias = x.new_full((gates,), c.prior).logit().requires_grad_()
        if not gates:
            return weight.detach(), bias.detach()
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimiser.zero_grad()
            log_p = log_exits((x * weight).sum(-1) + bias)
            risk = (log_p.exp() * loss).sum(-1).mean() - c.beta * (prior * log_p).sum(-1).mean()
            total = risk + 0.5 * c.ridge * weight.square().sum()
            total.backward()
            return total

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        raw = weight.detach() / std
        return raw, bias.detach() - (raw * mean).sum(-1)


def geometric(rate: float, gates: int) -> Tensor:
    """Return the truncated geometric prior [G+1], float64: rate·(1 - rate)^k at gate k, the rest at the last exit."""
    p = rate * (1 - rate) ** torch.arange(gates, dtype=torch.float64)
    return torch.cat([p, 1 - p.sum(0, keepdim=True)])


def log_exits(z: Tensor) -> Tensor:
    """Return log p [N, G+1] of leaving at each exit from the log-odds z [N, G] of λ; the last exit takes the rest."""
    stayed = torch.nn.functional.pad(-softplus(z).cumsum(-1), (1, 0))
    return torch.cat([stayed[:, :-1] - softplus(-z), stayed[:, -1:]], -1)
