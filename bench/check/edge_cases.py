"""Check degenerate tasks: no exception, no NaN, and budgets are still met."""

from __future__ import annotations

from bench.check import tasks
from bench.check.costs import over, val_cost
from bench.check.result import Check, Violation
from bench.check.subject import Subject, infer
from bench.method import ExitData, Infeasible, Policy

BUDGETS = (0.35, 0.7, 1.1)
WORDS = {
    "one_class": "a task of a single class",
    "absent_classes": "training and val labels of a single class out of five",
    "one_exit": "a backbone without intermediate exits, where only the frozen head answers",
    "two_samples": "two training and two val samples",
    "ties": "a val split of four different samples, each repeated",
    "constant_features": "features that are the same for every sample",
    "saturated_logits": "features of 1e4 and frozen logits of ±1e4",
}


def edge_case_checks() -> list[Check]:
    """Return one check per degenerate task."""
    asks = "Fitting and inference must work for {}: no exception, no NaN, budgets met."
    return [Check(kind, asks.format(words), _Survives(kind)) for kind, words in WORDS.items()]


class _Survives:
    """Fit one degenerate task and run its policies."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, subject: Subject) -> str:
        task, other = tasks.degenerate(self.kind)
        answers = subject.fit(task, BUDGETS)
        if len(answers) != len(BUDGETS):
            raise Violation(f"With {WORDS[self.kind]} fit returned {len(answers)} answers for {len(BUDGETS)} budgets.")
        for budget, policy in zip(BUDGETS, answers, strict=True):
            if not isinstance(policy, Policy):
                continue
            for data in (task.val, other):
                self._sound(policy, data)
            over(budget, val_cost(policy, task))
        if self.kind == "saturated_logits":
            for policy in subject.few.values():
                self._sound(policy, other)
        refused = sum(isinstance(a, Infeasible) for a in answers)
        return f"{refused} of {len(answers)} infeasible" if refused else ""

    def _sound(self, policy: Policy, data: ExitData) -> None:
        answers = infer(policy, data).exit_logits
        assert answers is not None
        if bool(answers.isnan().any()):
            raise Violation(
                f"With {WORDS[self.kind]} the policy answers NaN: guard logarithms, divisions and variances."
            )
