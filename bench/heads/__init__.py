"""Head recipes on frozen features. `fit` trains a recipe by name once per task, and its methods share the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import parse
from bench.recipe import Heads, Recipe

if TYPE_CHECKING:
    from bench.method import Task

__all__ = ["Heads", "Recipe", "fit"]


def fit(recipe: str, task: Task) -> Heads:
    """Return the heads of `recipe` (a name, `name[param=value,…]`) on `task`, trained at the first call for this task.

    Raises UserError for an unknown recipe or parameter.
    """
    spec = parse(recipe)
    kind = registry.load("heads", spec.name)
    config = configure(kind.Config, spec)
    key = ("heads", spec.name, config)
    if key not in task.shared_cache:
        task.shared_cache[key] = kind(config).fit(task)
    return task.shared_cache[key]
