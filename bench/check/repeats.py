"""Check determinism: the same seed gives the same policy, and a budget's answer does not depend on the others."""

from __future__ import annotations

import random

import numpy as np
import torch

from bench.check import tasks
from bench.check.compare import answer_difference, exact_difference
from bench.check.result import Violation
from bench.check.subject import BUDGETS, Subject, infer
from bench.method import Infeasible, Policy


def replays(subject: Subject) -> None:
    """Run each policy twice."""
    data = tasks.unseen()
    for budget, policy in subject.few.items():
        scatter(1)
        first = infer(policy, data)
        scatter(2)
        if found := exact_difference(first, infer(policy, data)):
            raise Violation(
                f"Running the policy for budget {budget} twice gives different results: {found}. Policies must be "
                "deterministic: draw no random numbers in head, combine and leave (bench.rules.mixing.coin gives each "
                "sample one of its own), and keep no state between calls."
            )


def refits(subject: Subject) -> None:
    """Fit a fresh copy of the task, and the same task once more, with other global random states."""
    data = tasks.unseen()
    for again, task in (("a copy of the same task", tasks.task()), ("the same task once more", subject.task)):
        scatter(3)
        for budget, first, second in zip(BUDGETS, subject.answers, subject.fit(task), strict=True):
            if found := _exactly(first, second, data):
                raise Violation(
                    f"Fitting {again} gives a different answer for budget {budget}: {found}. Draw every random number "
                    "from a generator seeded with task.seed, and change nothing that is in task.shared_cache already."
                )


def own_budgets(subject: Subject) -> None:
    """Request single budgets and compare the answers with those for the whole list."""
    data = tasks.unseen()
    for i in (2, 4):
        (alone,) = subject.fit(tasks.task(), BUDGETS[i : i + 1])
        if found := answer_difference(data, subject.answers[i], alone):
            raise Violation(
                f"The answer for budget {BUDGETS[i]} depends on which other budgets are requested: {found}. Let each "
                "budget's answer depend only on the task and that budget."
            )


def scatter(seed: int) -> None:
    """Set the global random states of Python, NumPy and PyTorch, which a method must not depend on."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def _exactly(first: Policy | Infeasible, second: Policy | Infeasible, data: tasks.ExitData) -> str | None:
    if isinstance(first, Policy) and isinstance(second, Policy):
        return exact_difference(infer(first, data), infer(second, data))
    return answer_difference(data, first, second)
