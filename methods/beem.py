"""BEEM: agreeing exits add up their weighted confidence (Bajpai & Hanawal, ICLR 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import heads
from bench.method import Fidelity, Infeasible, Method, Policy, Task
from bench.plugins.params import tunable
from bench.rules import Score, many_thresholds, max_probability, one_threshold


@dataclass(frozen=True)
class BEEMConfig:
    """The heads, the weight of an exit's vote, and how thresholds are set."""

    heads: str = "plain"
    weights: Literal["val", "cost", "released"] = tunable("val")
    thresholds: Literal["one", "error"] = "one"


class AgreementScore(Score):
    """S_k = S_{k-1} + w_k c_k if exits k and k-1 predict the same class; c is the largest probability.

    An exit that disagrees starts again from its own w_k c_k, or with `reset`, like the first exit, from 0.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset
        self.register_buffer("weights", weights.double())

    def forward(self, k: int, logits: Tensor) -> Tensor:
        predicted = logits.argmax(-1)
        agrees = (predicted == predicted[:, -1:]).to(torch.int8)
        run = agrees.flip(1).cummin(1).values.flip(1).bool()
        if self.reset:
            run = run & torch.nn.functional.pad(run[:, :-1], (1, 0))  # without the exit that starts it
        confidence = self.weights.new_zeros(run.shape)
        confidence[run] = max_probability(logits[run])
        total = torch.zeros_like(confidence[:, 0])
        for j in range(k + 1):
            total = total + self.weights[j] * confidence[:, j]
        return total

    def macs(self, k: int, classes: int) -> int:
        return classes + 1  # the softmax, and the weighted sum

    def all(self, logits: Tensor) -> Tensor:
        predicted, confidence = logits.argmax(-1), max_probability(logits[:, :-1])
        scores: list[Tensor] = []
        for k in range(confidence.shape[1]):
            own = self.weights[k] * confidence[:, k]
            again = torch.zeros_like(own) if self.reset else own
            scores.append(torch.where(predicted[:, k] == predicted[:, k - 1], scores[-1] + own, again) if k else again)
        return torch.stack(scores, 1) if scores else confidence


def error_thresholds(scores: Tensor, wrong: Tensor, rates: Tensor) -> Tensor:
    """Return per tolerated error rate [P] the lowest thresholds [P, K] at which no exit exceeds that error rate.

    scores [N, K-1], wrong [N, K] bool. Exit by exit, among the samples still in the network: the lowest score t such
    that at most a share `rate` of those with score >= t is wrong; +inf if there is none. The last threshold is -inf.
    """
    n, gates = scores.shape
    thresholds = scores.new_full((len(rates), gates + 1), torch.inf)
    thresholds[:, -1] = -torch.inf
    left = torch.zeros(len(rates), n, dtype=torch.bool, device=scores.device)
    position = torch.arange(1, n + 1, device=scores.device)
    for k in range(gates):
        value, order = scores[:, k].sort(descending=True, stable=True)
        stays = ~left[:, order]
        count, bad = stays.cumsum(1), (stays & wrong[order, k]).cumsum(1)
        parts = torch.cat([value[1:] < value[:-1], value.new_ones(1, dtype=torch.bool)])  # ties leave together
        fits = parts & (count > 0) & (bad <= rates[:, None] * count)
        last = (fits * position).amax(1)
        thresholds[:, k] = torch.where(last > 0, value[(last - 1).clamp_min(0)], thresholds[:, k])
        left |= scores[:, k] >= thresholds[:, k, None]
    return thresholds


class BEEM(Method):
    """Exits are experts: neighbours that agree add up their weighted confidence; leave at S_k >= α_k (BEEM).

    S_k = w_k c_k + S_{k-1} if the predictions of exits k and k-1 are equal, else w_k c_k; c_k = p_max. The paper's
    exact weights and thresholds are assumed, not checked: `weights=val` is an exit's accuracy on val (BEEM-A); `cost`
    is the backbone's cost up to it as a fraction of the whole (BEEM-C). `released` is the score of the published ALBERT
    code: w_k = 0.1 k with k from 0, so that the first exit has no weight, and S_k = 0 where exits disagree. α_k is the
    lowest value at which at most a share ε of the samples that leave at exit k is wrong; the paper uses the final
    exit's error as ε, which is one operating point. `thresholds=error` tries that ε and 513 others and uses, for a
    budget, the point with the largest val cost that fits it. The default, `one`, gives all exits one α, found by
    bisection over the scores that occur on val: it spends a budget more closely and compares BEEM's score with others
    on equal terms.

    Differences: the published BERT code computes S and then stops on a patience counter, so it runs PABEE; the ALBERT
    code leaves at S_k >= threshold, as here. With `val` and `cost` a disagreeing exit starts again from its own w_k
    c_k.
    """

    name: ClassVar[str] = "beem"
    version: ClassVar[int] = 2
    fidelity: ClassVar[Fidelity] = Fidelity(
        title="BEEM: Boosting Performance of Early Exit DNNs using Multi-Exit Classifiers as Experts",
        authors="Bajpai, Hanawal",
        venue="ICLR",
        year=2025,
        link="https://arxiv.org/abs/2502.00745",
        family="agreement",
        basis="assumed in part",
        detail="weights=released has the score of the published ALBERT code; the weights `val` and `cost` and the "
        "error rule follow the paper's summary",
    )
    Config: ClassVar[type] = BEEMConfig

    def fit(self, task: Task, budgets: Sequence[float]) -> Sequence[Policy | Infeasible]:
        """Weight the exits, then find thresholds on val for every budget."""
        fitted = heads.fit(self.config.heads, task)
        answers = fitted.logits(task.val)
        wrong = answers.argmax(-1) != task.val.labels[:, None]
        score = AgreementScore(self._weights(task, wrong), reset=self.config.weights == "released")
        if self.config.thresholds == "one":
            return one_threshold(task, budgets, fitted, score)
        final = float(wrong[:, -1].double().mean())
        tried = [-1.0, final, *(i / 512 for i in range(513))]  # at a negative rate no sample leaves early
        rates = torch.tensor(tried, dtype=torch.float64, device=wrong.device)
        return many_thresholds(task, budgets, fitted, score, error_thresholds(score.all(answers), wrong, rates))

    def _weights(self, task: Task, wrong: Tensor) -> Tensor:
        gates = task.num_exits - 1
        if self.config.weights == "val":
            return 1 - wrong[:, :gates].double().mean(0)
        if self.config.weights == "cost":
            return torch.tensor(task.macs[:gates], dtype=torch.float64, device=wrong.device) / task.macs[-1]
        return 0.1 * torch.arange(gates, dtype=torch.float64, device=wrong.device)
