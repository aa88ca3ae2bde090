"""The head recipe under examination, and what the checks on it share."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.check import tasks
from bench.exits import ForwardPass
from bench.method import ExitData, Task
from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import Spec, parse
from bench.recipe import Heads, Recipe


class RecipeSubject:
    """One configured recipe: its class, and one fit on the ordinary task."""

    def __init__(self, recipe: str | type[Recipe]) -> None:
        self.spec = parse(recipe) if isinstance(recipe, str) else Spec(getattr(recipe, "name", recipe.__name__))
        self.plugin = registry.find("heads", self.spec.name) if isinstance(recipe, str) else None
        self._given = recipe
        if self.spec.params:
            self.recipe()  # a wrong parameter is the user's mistake, not the recipe's

    @cached_property
    def cls(self) -> type[Recipe]:
        """The recipe's class; UserError if its module cannot be imported."""
        return self.plugin.load() if self.plugin else self._given  # type: ignore[return-value]

    def recipe(self) -> Recipe:
        """Return a fresh instance, configured as in the spec."""
        config: Any = configure(self.cls.Config, self.spec) if self.spec.params else self.cls.Config()
        return self.cls(config)

    def fit(self, task: Task) -> Heads:
        """Fit a fresh instance."""
        return self.recipe().fit(task)

    @cached_property
    def task(self) -> Task:
        """The ordinary task of the shared fit."""
        return with_native(tasks.task())

    @cached_property
    def heads(self) -> Heads:
        """The heads of the shared fit, in eval mode."""
        found = self.fit(self.task)
        return found.eval() if isinstance(found, Heads) else found


def with_native(task: Task) -> Task:
    """Return a task whose network has heads of its own, the class means, which the recipe `native` uses."""
    classes = torch.arange(task.num_classes)
    member = (task.train.labels == classes[:, None]).float()  # [C, N]
    means = [member @ x / member.sum(1, keepdim=True).clamp_min(1) for x in task.train.features]
    return dataclasses.replace(task, native=tuple((m, -m.square().sum(1) / 2) for m in means))


@torch.no_grad()
def answers(heads: Heads, data: ExitData) -> Tensor:
    """Return the answers of all exits [N, K, C] on a copy of a split."""
    copy = tasks.clone(data)
    forward = ForwardPass(heads, heads.combine)
    for k in range(copy.num_exits):
        forward.step(copy.inputs(k))
    return forward.answers
