"""The splits of one bank and seed, and the answers of heads on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.bank.bank import Bank
from bench.inference import BATCH, Outcomes, decide, exit_answers, simulate
from bench.method import ExitData, Infeasible, NoTrain, Policy, Task
from bench.metrics.answers import Answers
from bench.metrics.arrays import to_numpy
from bench.metrics.samples import Measured
from bench.metrics.stored import to_arrays
from bench.recipe import Heads
from bench.rules import Score, ThresholdPolicy, shared_heads
from bench.rules.mixing import Mixture
from bench.rules.states import StateBasis, StateScore
from bench.trials.kept import Kept, SharedOutcomes

KEPT = 2  # sets of heads whose answers are held at once


class SharedAnswers:
    """The answers of all exits of one set of heads on a split, for all policies on them."""

    def __init__(self, heads: Heads, data: ExitData, name: str, several: bool = True) -> None:
        self.data = data
        self.logits = exit_answers(heads, data)  # [N, K, C]
        self.scored = Answers(to_numpy(self.logits), to_numpy(data.labels).astype(np.int64), name, several)
        self._held: tuple[Score | StateBasis, Tensor] | None = None

    def outcomes(self, policy: Policy, backbone_macs: Sequence[int]) -> Outcomes:
        """Return the outcomes of a policy on these heads."""
        return decide(policy, self.logits, self.data, backbone_macs, gates=self._gates(policy))

    @torch.no_grad()
    def _gates(self, policy: Policy) -> Tensor | None:
        """Return which samples thresholds would stop at each exit [N, K-1]; budgets share the scores."""
        if isinstance(policy, Mixture):
            expensive, cheap = self._gates(policy.expensive), self._gates(policy.cheap)
            lucky = policy.lucky(self.logits[:, 0])[:, None]
            return None if expensive is None or cheap is None else torch.where(lucky, expensive, cheap)
        if not isinstance(policy, ThresholdPolicy) or type(policy).leave is not ThresholdPolicy.leave:
            return None
        source = policy.score.basis if isinstance(policy.score, StateScore) else policy.score
        if self._held is None or self._held[0] is not source:
            self._held = (source, torch.cat([source.all(part) for part in self.logits.split(BATCH)]))
        values = self._held[1]
        scores = policy.score.weigh(values) if isinstance(policy.score, StateScore) else values
        return scores >= policy.thresholds[:-1]


@dataclass(frozen=True, eq=False)
class HeadsAnswers:
    """The answers of one set of heads on the splits, computed once for all policies on it."""

    heads: Heads
    splits: Mapping[str, SharedAnswers]
    train_counts: np.ndarray

    def outcomes(self, split: str, policy: Policy, macs: Sequence[int]) -> Outcomes:
        """Return the outcomes of a policy on these heads on val, cal or test."""
        return self.splits[split].outcomes(policy, macs)

    @property
    def scored(self) -> tuple[Answers, Answers]:
        """The answers on cal and test."""
        return self.splits["cal"].scored, self.splits["test"].scored

    def keep(self, point: Measured) -> Kept:
        """Return the outcomes of a policy for storage."""
        return Kept.compact(point, self._shared) if self._shared else Kept(to_arrays(point))

    @cached_property
    def _shared(self) -> SharedOutcomes | None:
        answers = {split: held.scored for split, held in self.splits.items() if split != "val"}
        return SharedOutcomes.of(self.heads, answers, self.train_counts)


@dataclass(frozen=True)
class OwnAnswers:
    """The splits for a policy that does not share its answers: every exit is computed for it alone."""

    splits: Mapping[str, ExitData]
    scored: None = None

    def outcomes(self, split: str, policy: Policy, macs: Sequence[int]) -> Outcomes:
        """Return the outcomes of a policy on val, cal or test."""
        return simulate(policy, self.splits[split], macs)

    def keep(self, point: Measured) -> Kept:
        """Return the outcomes of a policy for storage."""
        return Kept(to_arrays(point))


@dataclass(frozen=True)
class SeedSplits:
    """The task for the method; cal and test for the harness only."""

    task: Task
    cal: ExitData
    test: ExitData
    _answers: dict[Heads, HeadsAnswers] = field(default_factory=dict, repr=False)

    @cached_property
    def train_counts(self) -> np.ndarray:
        """Training samples per class [C]; none where the bank has no train split."""
        if isinstance(self.task.train, NoTrain):
            return np.zeros(self.task.num_classes, dtype=np.int64)
        return np.bincount(to_numpy(self.task.train.labels), minlength=self.task.num_classes)

    @property
    def splits(self) -> dict[str, ExitData]:
        """val, cal and test."""
        return {"val": self.task.val, "cal": self.cal, "test": self.test}

    def answers_for(self, policy: Policy, among: Sequence[Policy | Infeasible]) -> HeadsAnswers | OwnAnswers:
        """Return the answers of a policy's heads, shared by all policies on them, or its own if it changes them.

        Tables of all exits are kept if several policies use the heads.
        """
        heads = shared_heads(policy)
        if heads is None:
            return OwnAnswers(self.splits)
        if heads not in self._answers:
            others = sum(isinstance(other, Policy) and shared_heads(other) is heads for other in among)
            several = others > 1 or any(heads is kept for kept in self.task.shared_cache.values())
            while len(self._answers) >= KEPT:
                del self._answers[next(iter(self._answers))]
            made = {name: SharedAnswers(heads, data, name, several) for name, data in self.splits.items()}
            self._answers[heads] = HeadsAnswers(heads, made, self.train_counts)
        return self._answers[heads]


def load_splits(bank: Bank, seed: int, device: str) -> SeedSplits:
    """Open the splits of one seed; its methods share them, and with them the trained heads."""
    cal, test = bank.held_out(seed, device)
    return SeedSplits(bank.task(seed, device), cal, test)
