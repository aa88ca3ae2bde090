"""Verify after each trial that what trials share is unchanged, and restore the settings of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import xxhash
from torch import Tensor, nn

from bench.heads import unsealed
from bench.plugins import registry
from bench.plugins.spec import parse
from bench.recipe import Heads
from bench.system.surroundings import Facts, Surroundings, differences
from bench.trials.modules import INTERNAL
from bench.trials.plan import REFERENCES
from bench.trials.splits import SeedSplits

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")


def outside(method: str, config: Any) -> bool:
    """Return whether a method runs code that exitbench does not provide: its own or a head recipe's."""
    if method == REFERENCES:
        return False
    if _foreign("methods", method):
        return True
    recipe = getattr(config, "heads", None)
    while isinstance(recipe, str):
        spec = parse(recipe)
        if _foreign("heads", spec.name):
            return True
        recipe = dict(spec.params).get("base")
    return False


def _foreign(kind: registry.Kind, name: str) -> bool:
    plugin = registry.plugins(kind).get(name)
    return plugin is None or not plugin.own


@contextmanager
def guarded(splits: SeedSplits, *, thorough: bool) -> Iterator[list[str]]:
    """Yield a list that names, after the block, what changed in the splits, the shared heads and the process.

    thorough: compare contents, and functions that may have been replaced; otherwise only the version counters of
    tensors. Settings of the process and the random state, which any method may use, are restored in any case.
    """
    look: Callable[[Tensor], Any] = _digest if thorough else _version
    shared, process = _shared(splits, look), Surroundings(code=thorough)
    changed: list[str] = []
    try:
        yield changed
    finally:
        changed += differences(shared, _shared(splits, look))
        changed += [f"the fitted heads '{recipe}'" for recipe in unsealed(splits.task)]
        changed += process.restore()


def _shared(splits: SeedSplits, look: Callable[[Tensor], Any]) -> Facts:
    """Describe all tensors of the splits, and every set of fitted heads."""
    facts: Facts = {}
    for name, data in {"train": splits.task.train, **splits.splits}.items():
        seen = _version if data.on_disk else look
        facts |= {f"{part} of {name}": seen(held) for part, held in data.tensors().items()}
    for key, value in splits.task.shared_cache.items():
        facts[f"the entry {key!r} of the shared cache"] = id(value)
        if isinstance(value, Heads):
            for path, module in value.named_modules():
                facts |= _held(module, f"{path or 'the whole'} of the heads {key!r}", look)
    return facts


def _held(module: nn.Module, name: str, look: Callable[[Tensor], Any]) -> Facts:
    tensors = {**module._parameters, **module._buffers}
    facts = {f"{k} of {name}": look(held) for k, held in tensors.items() if held is not None}
    facts[f"the hooks of {name}"] = [len(getattr(module, hooks)) for hooks in HOOKS]
    own = {k: v for k, v in vars(module).items() if k not in INTERNAL and not k.startswith("_") and k != "training"}
    facts[f"the attributes of {name}"] = {k: id(v) for k, v in own.items()}
    return facts


def _digest(held: Tensor) -> int:
    return xxhash.xxh3_64_intdigest(held.detach().cpu().contiguous().view(-1).numpy().data)


def _version(held: Tensor) -> tuple[int, int]:
    return held.data_ptr(), held._version
