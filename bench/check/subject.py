"""The method under examination: how it is loaded and fitted, and how its policies run on samples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.check import tasks
from bench.exits import ForwardPass
from bench.inference import Outcomes, simulate
from bench.method import ExitData, Infeasible, Method, Policy, Task
from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import Spec, parse
from bench.trials.plan import load_methods

BUDGETS = (0.1, 0.35, 0.5, 0.7, 0.9, 1.0)  # the first is below every exit


class Subject:
    """One configured method and what the checks on it share: its class, one fit on the ordinary task."""

    def __init__(self, method: str | type[Method]) -> None:
        self.spec = parse(method) if isinstance(method, str) else Spec(getattr(method, "name", method.__name__))
        self.plugin = registry.find("methods", self.spec.name) if isinstance(method, str) else None
        self._given = method
        if self.spec.params:
            load_methods([str(self.spec)])  # a wrong parameter is the user's mistake, not the method's
        self.seconds = float("inf")  # of the fastest fit of all BUDGETS

    @cached_property
    def cls(self) -> type[Method]:
        """The method's class; UserError if its module cannot be imported."""
        return self.plugin.load() if self.plugin else self._given  # type: ignore[return-value]

    def method(self) -> Method:
        """Return a fresh instance, configured as in the spec."""
        config: Any = configure(self.cls.Config, self.spec) if self.spec.params else self.cls.Config()
        return self.cls(config)

    def fit(self, task: Task, budgets: Sequence[float] = BUDGETS) -> list[Policy | Infeasible]:
        """Fit a fresh instance."""
        return list(self._fit(task, budgets))

    def _fit(self, task: Task, budgets: Sequence[float]) -> Any:
        method, clock = self.method(), Clock()
        answers = method.fit(task, list(budgets))
        if tuple(budgets) == BUDGETS:
            self.seconds = min(self.seconds, clock.seconds())
        return answers

    @cached_property
    def task(self) -> Task:
        """The ordinary task of the shared fit."""
        return tasks.task()

    @cached_property
    def before(self) -> dict[str, dict[str, Tensor]]:
        """Copies of the tensors of the shared task, as they were before the fit."""
        return {
            name: {key: value.clone() for key, value in tasks.tensors(data).items()}
            for name, data in (("train", self.task.train), ("val", self.task.val))
        }

    @cached_property
    def raw_answers(self) -> Any:
        """The return value of the shared fit, for all BUDGETS."""
        _ = self.before
        return self._fit(self.task, BUDGETS)

    @cached_property
    def answers(self) -> list[Policy | Infeasible]:
        """Policies and refusals of the shared fit, in the order of BUDGETS."""
        return list(self.raw_answers)

    @property
    def policies(self) -> dict[float, Policy]:
        """The policies of the shared fit by budget, without the refusals."""
        return {b: p for b, p in zip(BUDGETS, self.answers, strict=True) if isinstance(p, Policy)}

    @property
    def few(self) -> dict[float, Policy]:
        """Up to three of the policies: the cheapest, the middle one, the most expensive."""
        found = list(self.policies.items())
        return dict(found[i] for i in sorted({0, len(found) // 2, len(found) - 1}))


class Clock:
    """Seconds since it was made, excluding the time spent waiting for a busy machine."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        """Return the smaller of wall-clock and CPU time."""
        return min(time.perf_counter() - self._start[0], time.process_time() - self._start[1])


def infer(policy: Policy, data: ExitData, *, batch_size: int = 4096) -> Outcomes:
    """Run a policy on a copy of a split, so that it cannot change the split for others."""
    return simulate(policy, tasks.clone(data), [0] * data.num_exits, batch_size=batch_size)


@torch.no_grad()
def decide(policy: Policy, data: ExitData) -> tuple[Tensor, Tensor]:
    """Return the answers of all exits [N, K, C], and which samples leave at each gate, bool [N, K-1]."""
    policy.eval()
    forward = ForwardPass(policy.head, policy.combine)
    for k in range(data.num_exits):
        forward.step(data.inputs(k).clone())
    answers = forward.answers
    stops = [policy.leave(k, answers[:, : k + 1].contiguous()) for k in range(data.num_exits - 1)]
    return answers, torch.stack(stops, 1) if stops else torch.zeros(len(data), 0, dtype=torch.bool)
