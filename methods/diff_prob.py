"""Post-hoc deferral (Jitkrittum et al., When Does Confidence-Based Cascade Deferral Suffice?, NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, one_threshold, rule_fractions
from bench.rules.states import DIGITS, Ridge, hinges, knots, state, state_macs, states


@dataclass(frozen=True)
class DiffProbConfig:
    """The heads, what is regressed, and how flexible the regression is."""

    heads: str = "plain"
    target: Literal["diff_prob", "diff_01"] = tunable("diff_prob")
    knots: int = tunable(3, 0, 8)
    ridge: float = tunable(1e-2, 1e-5, 1.0, log=True)

    def __post_init__(self) -> None:
        if self.knots < 0:
            raise ValueError(f"knots={self.knots} cannot be negative")
        if self.ridge <= 0:
            raise ValueError(f"ridge={self.ridge:g} leaves collinear states without a solution; give more than 0")


class GainScore(Score):
    """Minus the largest gain per cost that a later exit promises, each gain linear in the hinges of the state."""

    weight: Tensor
    bias: Tensor
    at: Tensor
    price: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, at: Tensor, price: Tensor) -> None:
        """Take weight [G, B, G] and bias [G, G] of gate k's gain at exit j+1, knots [G, F, M] and prices [G, G] > 0.

        Entries of exits that are not later than the gate, j < k, are not used.
        """
        super().__init__()
        for name, value in {"weight": weight, "bias": bias, "at": at, "price": price}.items():
            self.register_buffer(name, value.double())

    def forward(self, k: int, logits: Tensor) -> Tensor:
        basis = hinges(state(k, logits), self.at[k])
        return -((basis @ self.weight[k, :, k:] + self.bias[k, k:]) / self.price[k, k:]).amax(-1).round(decimals=DIGITS)

    def macs(self, k: int, classes: int) -> int:
        functions, gates = self.weight.shape[1:]
        return gate_macs(k, classes, functions, gates)


def gate_macs(k: int, classes: int, functions: int, gates: int) -> int:
    """Count the state, one product with its basis for every later exit, and the division by its price."""
    return state_macs(classes) + (functions + 1) * (gates - k)


class DiffProb(Method):
    """Leave when no later exit promises a gain worth its cost: post-hoc deferral (Jitkrittum et al., Diff-Prob).

    Per exit k and later exit j, ridge regression on val of the gain of j over k: p_j(y) - p_k(y), the difference of the
    probabilities of the label (`target=diff_prob`), or 1[j right] - 1[k right] (`diff_01`). A sample continues if some
    j has an expected gain above λ·(C_j - C_k), costs being fractions of the plain backbone's, heads and rule counted;
    otherwise it leaves. So its score at k is -max_j gain_kj / (C_j - C_k), with one threshold -λ for all exits, found
    by bisection over the scores that occur on val.

    Source: NeurIPS 2023, https://arxiv.org/abs/2307.02764. Differences: the paper has two models, and this is its rule
    where K = 2; pricing all later exits is our extension to more. Its regressor is a small network on the first model's
    probabilities; here it is linear in hinges, at `knots` quantiles, of the state of `bench.rules.states` (top
    probabilities, entropy, margin, agreement with earlier exits). Regression and threshold use all of val.
    """

    name: ClassVar[str] = "diff_prob"
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="When Does Confidence-Based Cascade Deferral Suffice? (post-hoc deferral, Diff-Prob)",
        authors="Jitkrittum, Gupta, Menon, Narasimhan, Rawat, Kumar",
        venue="NeurIPS",
        year=2023,
        link="https://arxiv.org/abs/2307.02764",
        family="learned",
        basis="assumed in part",
        detail="the targets are those of the paper, for two models; pricing all later exits and the regressor are ours",
    )
    Config: ClassVar[type] = DiffProbConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Regress the gains of all pairs of exits on val, then find the threshold for every budget."""
        c, gates = self.config, task.num_exits - 1
        fitted = heads.fit(c.heads, task)
        logits = fitted.logits(task.val)
        inputs = states(logits)
        at = knots(inputs, c.knots)
        basis = hinges(inputs, at)
        costs = rule_fractions(task, fitted, lambda k: gate_macs(k, task.num_classes, basis.shape[-1], gates))
        right = quality(logits, task.val.labels, c.target)
        weight = basis.new_zeros(gates, basis.shape[-1], gates)
        bias, price = basis.new_zeros(gates, gates), basis.new_ones(gates, gates)
        for k in range(gates):
            regression = Ridge(basis[:, k], 1, c.ridge)
            _, weight[k, :, k:], bias[k, k:] = regression.fit(right[:, k + 1 :] - right[:, k : k + 1])
            price[k, k:] = costs[k + 1 :] - costs[k]
        return one_threshold(task, budgets, fitted, GainScore(weight, bias, at, price))


def quality(logits: Tensor, labels: Tensor, target: str) -> Tensor:
    """Return the quality of each exit, float64 [N, K], from logits [N, K, C]: the label's probability, or 0 or 1."""
    if target == "diff_01":
        return (logits.argmax(-1) == labels[:, None]).double()
    rows = labels[:, None, None].expand(-1, logits.shape[1], 1)
    return logits.double().softmax(-1).gather(-1, rows).squeeze(-1)
