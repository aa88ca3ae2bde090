"""What the harness holds for one bank and seed: the splits, and what shared heads answer on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.bank.bank import Bank
from bench.inference import BATCH, Outcomes, decide, exit_answers
from bench.method import ExitData, Infeasible, Policy, Task
from bench.metrics.answers import Answers
from bench.metrics.arrays import to_numpy
from bench.recipe import Heads
from bench.rules import Score, ThresholdPolicy, shared_heads

KEPT = 2  # sets of heads whose answers are held at once


class SharedAnswers:
    """What all exits of one set of heads answer on a split, for all policies on them."""

    def __init__(self, heads: Heads, data: ExitData, name: str) -> None:
        self.data = data
        self.logits = exit_answers(heads, data)  # [N, K, C]
        self.scored = Answers(to_numpy(self.logits), to_numpy(data.labels).astype(np.int64), name, shared=True)
        self._score: tuple[Score, Tensor] | None = None

    def outcomes(self, policy: Policy, backbone_macs: Sequence[int]) -> Outcomes:
        """Return what one policy on these heads does."""
        return decide(policy, self.logits, self.data, backbone_macs, gates=self._gates(policy))

    @torch.no_grad()
    def _gates(self, policy: Policy) -> Tensor | None:
        """Return who would stop at each exit [N, K-1] by thresholds on a score, computed once for all budgets."""
        if not isinstance(policy, ThresholdPolicy) or type(policy).leave is not ThresholdPolicy.leave:
            return None
        if self._score is None or self._score[0] is not policy.score:
            parts = [policy.score.all(part) for part in self.logits.split(BATCH)]
            self._score = (policy.score, torch.cat(parts))
        return self._score[1] >= policy.thresholds[:-1]


@dataclass(frozen=True)
class HeadsAnswers:
    """What one set of heads answers on val, cal and test."""

    val: SharedAnswers
    cal: SharedAnswers
    test: SharedAnswers


@dataclass(frozen=True)
class SeedSplits:
    """The task for the method; cal and test for the harness alone."""

    task: Task
    cal: ExitData
    test: ExitData
    _answers: dict[Heads, HeadsAnswers] = field(default_factory=dict, repr=False)

    @cached_property
    def train_counts(self) -> np.ndarray:
        """Training samples per class [C]."""
        return np.bincount(to_numpy(self.task.train.labels), minlength=self.task.num_classes)

    def answers_for(self, policy: Policy, among: Sequence[Policy | Infeasible]) -> HeadsAnswers | None:
        """Return what the heads of a policy answer, computed once for all policies on them.

        None if the policy changes its heads' answers, or if neither the other policies of its trial nor other methods
        use its heads.
        """
        heads = shared_heads(policy)
        if heads is None:
            return None
        if heads not in self._answers:
            others = sum(isinstance(other, Policy) and shared_heads(other) is heads for other in among)
            if others < 2 and not any(heads is kept for kept in self.task.shared_cache.values()):
                return None
            while len(self._answers) >= KEPT:
                del self._answers[next(iter(self._answers))]
            splits = {"val": self.task.val, "cal": self.cal, "test": self.test}
            made = {name: SharedAnswers(heads, data, name) for name, data in splits.items()}
            self._answers[heads] = HeadsAnswers(**made)
        return self._answers[heads]


def load_splits(bank: Bank, seed: int, device: str) -> SeedSplits:
    """Open the splits of one seed; its methods share them, and with them the trained heads."""
    cal, test = bank.held_out(seed, device)
    return SeedSplits(bank.task(seed, device), cal, test)
