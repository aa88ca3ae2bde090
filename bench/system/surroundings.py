"""Record and restore the state that all code in a process shares: settings, random numbers, environment, functions."""

from __future__ import annotations

import inspect
import os
import random
import signal
import sys
import threading
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand

WATCHED = (
    "bench",
    "torch.optim",
    "torch.nn.functional",
)  # modules whose functions and classes plugins must not replace
Facts = dict[str, Any]


class Surroundings:
    """A snapshot of the shared state of this process.

    code: include functions that plugins must not replace.
    """

    def __init__(self, *, code: bool) -> None:
        self._process, self._ambient, self._code = _process(), Ambient(), _code() if code else {}

    def restore(self) -> list[str]:
        """Restore everything, and return the names of what should not have been changed.

        Random numbers may be drawn, and packages may add variables and filters when they are imported.
        """
        changed = differences(self._process, _process()) + _repaired(self._code) + self._ambient.touched()
        _restore(self._process)
        self._ambient.restore()
        return changed


def differences(before: Facts, now: Facts) -> list[str]:
    """Return the names of facts that have changed."""
    return [name for name, value in before.items() if value is not now.get(name) and value != now.get(name)]


def _process() -> Facts:
    """Return the settings that affect numbers, the current folder and the signal handlers."""
    facts: Facts = {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "the precision of matrix products": torch.get_float32_matmul_precision(),
        "the current folder": Path.cwd(),
    }
    if threading.current_thread() is threading.main_thread():
        facts["the signal handlers"] = {s: signal.getsignal(s) for s in sorted(signal.valid_signals())}
    return facts


class Ambient:
    """A snapshot of random states, warnings filters and environment variables."""

    def __init__(self) -> None:
        """Take the snapshot."""
        self.torch, self.python = torch.get_rng_state(), random.getstate()
        self.numpy = np.random.get_state()  # noqa: NPY002 - the global generator, which methods may use
        self.generator = mtrand.get_bit_generator()
        self.filters, self.environment = list(warnings.filters), dict(os.environ)

    def touched(self) -> list[str]:
        """Return the names of changes that a method must not make.

        Allowed are drawing numbers, filters for one message, module or kind of warning, and new variables: methods
        draw, and packages add the others when they are imported.
        """
        found = []
        if mtrand.get_bit_generator() is not self.generator:
            found.append("NumPy's random number generator")
        kept = [entry for entry in warnings.filters if entry in self.filters]
        if kept != self.filters or any(_general(entry) for entry in warnings.filters if entry not in self.filters):
            found.append("the warnings filters")
        now = dict(os.environ)
        changed = sorted(key for key, value in self.environment.items() if now.get(key) != value)
        return found + [f"the environment variable {key}" for key in changed]

    def restore(self) -> None:
        """Restore all of them."""
        mtrand.set_bit_generator(self.generator)
        torch.set_rng_state(self.torch)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)
        warnings.filters[:] = self.filters  # type: ignore[index]
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)


def _general(entry: tuple[Any, ...]) -> bool:
    """Return whether a filter of warnings applies to all warnings of all modules."""
    _, message, kind, module, _ = entry
    return message is None and module is None and kind.__module__ == "builtins"


def _restore(process: Facts) -> None:
    torch.set_default_dtype(process["torch's default dtype"])
    device = process["torch's default device"]
    if torch.get_default_device() != device:  # setting even the default one makes every later call slower
        torch.set_default_device(None if device.type == "cpu" else device)
    torch.set_grad_enabled(process["torch's gradient mode"])
    torch.set_num_threads(process["the number of threads"])
    torch.use_deterministic_algorithms(process["torch's deterministic mode"])
    torch.set_float32_matmul_precision(process["the precision of matrix products"])
    os.chdir(process["the current folder"])
    for number, handler in process.get("the signal handlers", {}).items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _code() -> dict[tuple[Any, str], Any]:
    """Return the functions and classes of the watched modules, and these classes' functions, by owner and name."""
    found: dict[tuple[Any, str], Any] = {}
    for name, module in list(sys.modules.items()):
        if module is None or not name.startswith(WATCHED):
            continue
        for key, value in _callables(vars(module)):
            found[module, key] = value
            if isinstance(value, type) and value.__module__.startswith(WATCHED):
                found |= {(value, k): v for k, v in _callables(vars(value))}
    return found


def _callables(held: Mapping[str, Any]) -> list[tuple[str, Any]]:
    kinds = (types.FunctionType, types.BuiltinFunctionType, type, classmethod, staticmethod, property)
    return [(key, value) for key, value in held.items() if isinstance(value, kinds) and not key.startswith("__")]


def _repaired(code: Mapping[tuple[Any, str], Any]) -> list[str]:
    """Restore replaced functions and classes; return their names."""
    changed = []
    for (holder, key), value in code.items():
        if not _same(vars(holder).get(key), value):
            changed.append(f"{holder.__name__}.{key}")
            setattr(holder, key, value)
    for kind in dict.fromkeys(v for v in code.values() if isinstance(v, type) and v.__module__.startswith(WATCHED)):
        for key, value in _callables(vars(kind)):
            if (kind, key) not in code and _shadows(kind, key, value):
                changed.append(f"{kind.__name__}.{key}")
                delattr(kind, key)
    return changed


def _shadows(kind: type, key: str, value: Any) -> bool:
    """Return whether a class was given a function that overrides an inherited one."""
    inherited = [vars(base)[key] for base in kind.__mro__[1:] if key in vars(base)]
    return bool(inherited) and not _same(value, inherited[0])


def _same(now: Any, before: Any) -> bool:
    """Return whether a function is unchanged; torch wraps an optimiser's `step` when it is first used."""
    if now is before:
        return True
    return getattr(now, "hooked", False) is True and inspect.unwrap(now) is inspect.unwrap(before)
