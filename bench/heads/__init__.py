"""Head recipes on frozen features. `fit` trains a recipe by name once per task, and its methods share the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

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
        task.shared_cache["seal", *key] = digest(task.shared_cache[key])
    return task.shared_cache[key]


def unsealed(task: Task) -> list[str]:
    """Return the recipes whose fitted heads have changed since `fit` stored them."""
    cache = task.shared_cache
    sealed = [(key[1:], seal) for key, seal in cache.items() if isinstance(key, tuple) and key[0] == "seal"]
    return [key[1] for key, seal in sealed if not isinstance(cache.get(key), Heads) or digest(cache[key]) != seal]


def digest(heads: Heads) -> int:
    """Return a digest of the values of all parameters and buffers."""
    found = xxhash.xxh3_64()
    for name, value in heads.state_dict().items():
        found.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return found.intdigest()
