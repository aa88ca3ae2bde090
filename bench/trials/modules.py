"""Fitted modules as JSON and tensors and back, without pickle; only classes of torch, exitbench and plugins are made.

A description may come from anybody. It can name only layers of torch, definitions of the parts of exitbench that
policies are made of (ROOMS), and definitions of a registered plugin; it cannot make Python run code of its own.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from bench.plugins import registry

ROOMS = ("exits", "heads", "method", "methods", "recipe", "rules")  # of exitbench, that policies are made of
OWN = ("torch.nn.modules", "torch.nn.parameter", *(f"bench.{room}" for room in ROOMS))
KINDS: tuple[registry.Kind, ...] = ("methods", "heads")
INTERNAL = frozenset(vars(nn.Module())) - {"_parameters", "_buffers", "_modules", "training"}


def describe(module: nn.Module, tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """Return the JSON form of a module and add its tensors under names that begin with the prefix.

    Raises TypeError for a module that contains anything but numbers, text, tensors, modules, dataclasses, functions
    that a module defines by name, and lists and dictionaries of these.
    """
    return _described(module, tensors, prefix)


def rebuild(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the module of a description; raise ValueError if it is damaged or one of its classes is not available."""
    try:
        made = _made(description, tensors)
    except (KeyError, TypeError, AttributeError, ImportError, RecursionError) as error:
        raise ValueError(f"its heads cannot be rebuilt ({error})") from None
    if not isinstance(made, nn.Module):
        raise ValueError("its heads are not a module")
    return made


def _described(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        stored = value.detach().cpu().contiguous()
        overlapping = [
            k for k, v in tensors.items() if v.untyped_storage().data_ptr() == stored.untyped_storage().data_ptr()
        ]
        same = next((k for k in overlapping if tensors[k].is_set_to(stored)), None)  # modules may share tensors
        if same is None:
            tensors[name] = stored.clone() if overlapping else stored
        return {"tensor": same or name, "trained": isinstance(value, nn.Parameter)}
    if isinstance(value, list | tuple):
        items = [_described(item, tensors, f"{name}.{i}") for i, item in enumerate(value)]
        return {type(value).__name__: items} if type(value) in (list, tuple) else _refused(value, name)
    if isinstance(value, nn.Module):
        found = {key: held for key, held in value.__getstate__().items() if key not in INTERNAL}  # type: ignore[call-overload]
        return {"module": _class(value), "held": _fields(found, tensors, name)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": _fields(value, tensors, name)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"dataclass": _class(value), "held": _fields(held, tensors, name)}
    if isinstance(value, FunctionType) and "<" not in value.__qualname__:
        return {"function": f"{value.__module__}:{value.__qualname__}"}
    return _refused(value, name)


def _fields(held: Mapping[str, Any], tensors: dict[str, Tensor], name: str) -> dict[str, Any]:
    return {key: _described(value, tensors, f"{name}.{key}") for key, value in held.items()}


def _refused(value: Any, name: str) -> Any:
    raise TypeError(f"{name} is a {type(value).__name__}")


def _class(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}:{kind.__qualname__}"


def _made(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "tensor" in value:
        tensor = tensors[value["tensor"]]
        return nn.Parameter(tensor, requires_grad=False) if value["trained"] else tensor
    if "list" in value:
        return [_made(item, tensors) for item in value["list"]]
    if "tuple" in value:
        return tuple(_made(item, tensors) for item in value["tuple"])
    if "dict" in value:
        return {key: _made(item, tensors) for key, item in value["dict"].items()}
    if "float" in value:
        return float(value["float"])
    if "function" in value:
        return _found(value["function"], FunctionType)
    held = {key: _made(item, tensors) for key, item in value["held"].items()}
    if "module" in value:
        if INTERNAL & held.keys():
            raise TypeError(f"a module cannot hold {sorted(INTERNAL & held.keys())[0]}")
        kind: Any = _class_found(value["module"], nn.Module)
        module = kind.__new__(kind)
        nn.Module.__init__(module)
        vars(module).update(held)
        return module
    made: Any = _class_found(value["dataclass"], object)
    if not hasattr(made, "__dataclass_fields__"):
        raise TypeError(f"{value['dataclass']} is not a dataclass")
    return made(**held)


def _class_found(name: str, base: type) -> type:
    found = _found(name, type)
    if not issubclass(found, base):
        raise TypeError(f"{name} is not a class of modules")
    return found


def _found(name: str, kind: type) -> Any:
    """Return what a module defines under that name; only its package decides whether it may be imported."""
    where, _, path = name.partition(":")
    if not _known(where):
        raise ImportError(f"'{where}' is not loaded; name its file with --plugin or install its package")
    found: Any = importlib.import_module(where)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, kind) or (found.__module__, found.__qualname__) != (where, path):  # type: ignore[attr-defined]
        raise TypeError(f"{name} is not a {kind.__name__} that this module defines")
    return found


def _known(where: str) -> bool:
    """Return whether a module is one of those that policies are made of, or belongs to the package of a plugin."""
    if any(f"{where}.".startswith(f"{own}.") for own in OWN):
        return True
    plugins = [plugin for kind in KINDS for plugin in registry.plugins(kind).values()]
    outside = {plugin.target.partition(":")[0].partition(".")[0] for plugin in plugins} - {"bench"}
    return where.partition(".")[0] in outside
