"""Reference rows that every table needs: static exits, their random mixtures, and the oracle that knows the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.inference import Outcomes, exit_macs
from bench.method import ExitData, Task
from bench.metrics.accuracy import predictions
from bench.metrics.arrays import softmax, to_numpy
from bench.metrics.proper import brier, nll
from bench.recipe import Heads
from bench.rules import HeadsPolicy
from bench.rules.mixing import upper_hull
from bench.rules.rates import tilt

MIXED = ("hull", "random")  # those that mix static exits at random, one per budget
VERSIONS = {"static": 1, "oracle": 1, "hull": 1, "random": 1}  # raise one when its numbers may change


class StaticPolicy(HeadsPolicy):
    """All samples leave at one fixed exit; only the heads that this exit needs are run and counted."""

    def __init__(self, heads: Heads, exits: int, exit_index: int) -> None:
        super().__init__(heads, exits)
        self.exit_index = exit_index

    def leave(self, k: int, logits: Tensor) -> Tensor:
        return torch.full((len(logits),), k == self.exit_index, dtype=torch.bool, device=logits.device)

    def macs(self, k: int) -> int:
        return self.heads.macs(k) if k == self.exit_index or self.heads.needs_previous else 0


def static_macs(heads: Heads, backbone_macs: Sequence[int]) -> list[int]:
    """Return the cost if all samples exit at k, [K] MACs per sample: only the heads needed there are run."""
    exits = len(backbone_macs)
    return [exit_macs(StaticPolicy(heads, exits, k), backbone_macs)[k] for k in range(exits)]


@dataclass(frozen=True)
class StaticExits:
    """Scores on val and test if all samples exit at k, and the expected scores of mixtures of such exits."""

    val: Mapping[str, Tensor]  # [K] each: accuracy, nll, brier, macs
    test: Mapping[str, Tensor]
    full_macs: int

    @classmethod
    def measure(cls, heads: Heads, task: Task, test: ExitData) -> StaticExits:
        """Score every exit of these heads on val and on test."""
        val, held_out = (static_scores(heads, split, task.macs) for split in (task.val, test))
        return cls(val, held_out, task.macs[-1])

    @property
    def costs(self) -> Tensor:
        """The cost [K] of each static exit as a fraction of the plain backbone's."""
        return self.val["macs"] / self.full_macs

    def shares(self, reference: str, budget: float) -> Tensor | None:
        """Return the exit shares [K] of `hull` or `random` at a budget; None where the cheapest exit costs more."""
        if float(self.costs.min()) > budget:
            return None
        if reference == "random":
            return random_shares(self.costs, budget)
        return hull_shares(self.costs, self.val["accuracy"], budget)

    def expected(self, shares: Tensor) -> tuple[dict[str, float], dict[str, float]]:
        """Return the expected scores on test and val if samples are assigned to exits at random with these shares."""
        test, val = (
            {name: float(shares @ values) for name, values in scores.items()} for scores in (self.test, self.val)
        )
        test, val = (found | {"macs_fraction": found["macs"] / self.full_macs} for found in (test, val))
        return test, {name: val[name] for name in ("accuracy", "macs", "macs_fraction")}


def static_scores(heads: Heads, data: ExitData, backbone_macs: Sequence[int]) -> dict[str, Tensor]:
    """Return scores on a split if all samples exit at k: accuracy, NLL, Brier score and MACs, [K] each."""
    logits, labels = heads.logits(data), to_numpy(data.labels)
    answers = [softmax(logits[:, k], f"logits of exit {k}") for k in range(logits.shape[1])]
    scores = {
        "accuracy": (predictions(logits) == labels[:, None]).mean(0).tolist(),
        "nll": [nll(p, labels) for p in answers],
        "brier": [brier(p, labels) for p in answers],
        "macs": static_macs(heads, backbone_macs),
    }
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in scores.items()}


def random_shares(costs: Tensor, budget: float) -> Tensor:
    """Return the most even exit shares [K] whose mean cost is the budget: maximum entropy, ∝ exp(-λ·cost).

    costs [K] of the static exits, in the unit of the budget. A budget below the cheapest or above the most expensive
    exit sends all samples there.
    """
    return tilt(torch.ones_like(costs), costs, torch.tensor(budget, dtype=torch.float64))


def hull_shares(costs: Tensor, accuracy: Tensor, budget: float) -> Tensor:
    """Return exit shares [K] that mix two neighbours on the hull of the static exits so as to cost the budget.

    costs [K], the cheapest within the budget; accuracy [K] on val, which alone decides which exits are on the hull. It
    ignores the sample, so this is the line of zero skill. A budget beyond the most accurate exit sends all samples
    there.
    """
    hull = upper_hull(costs, accuracy)
    cheap = [i for i in hull if float(costs[i]) <= budget][-1]
    dear = next((i for i in hull if float(costs[i]) > budget), None)
    shares = torch.zeros(len(costs), dtype=torch.float64)
    shares[cheap] = 1.0
    if dear is not None:
        shares[dear] = (budget - costs[cheap]) / (costs[dear] - costs[cheap])
        shares[cheap] -= shares[dear]
    return shares


def oracle(heads: Heads, data: ExitData, backbone_macs: Sequence[int]) -> Outcomes:
    """Let every sample leave at its earliest correct exit, or at the first if none is correct.

    The labels decide, so this is not a policy: it bounds what any rule on these heads can reach. All heads on the way
    are counted, no gates.
    """
    logits = heads.logits(data)
    correct = logits.argmax(-1) == data.labels[:, None]
    index = torch.where(correct.any(1), correct.to(torch.int8).argmax(1), 0)
    costs = torch.tensor(oracle_macs(heads, backbone_macs), device=index.device)
    left_with = logits.gather(1, index[:, None, None].expand(-1, 1, logits.shape[-1])).squeeze(1)
    return Outcomes(index, left_with, data.labels, costs[index], logits)


def oracle_macs(heads: Heads, backbone_macs: Sequence[int]) -> list[int]:
    """Return the cost of leaving at each exit for the oracle, [K] MACs: the backbone and all heads up to there."""
    return [macs + sum(heads.macs(i) for i in range(k + 1)) for k, macs in enumerate(backbone_macs)]


MADE_BY: dict[str, Any] = {"static": StaticPolicy, "oracle": oracle, "hull": StaticExits, "random": StaticExits}
