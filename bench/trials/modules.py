"""Fitted modules as JSON and tensors and back, without pickle: only classes of torch, exitbench, plugins are made."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

OWN = ("bench.", "torch.nn.")  # packages whose modules are imported; others must be in use already
INTERNAL = frozenset(vars(nn.Module())) - {"_parameters", "_buffers", "_modules", "training"}


def describe(module: nn.Module, tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """Return the JSON form of a module and add its tensors under names that begin with the prefix.

    Raises TypeError for a module that holds anything but numbers, text, tensors, modules, dataclasses, lists of these.
    """
    return _described(module, tensors, prefix)


def rebuild(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the module of a description; raise ValueError if it is damaged or a class of it is not there."""
    try:
        made = _made(description, tensors)
    except (KeyError, TypeError, AttributeError, ImportError, RecursionError) as error:
        raise ValueError(f"its heads cannot be made again ({error})") from None
    if not isinstance(made, nn.Module):
        raise ValueError("its heads are not a module")
    return made


def _described(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
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
        found = {key: held for key, held in vars(value).items() if key not in INTERNAL}
        return {"module": _class(value), "held": _fields(found, tensors, name)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": _fields(value, tensors, name)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"dataclass": _class(value), "held": _fields(held, tensors, name)}
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
    held = {key: _made(item, tensors) for key, item in value["held"].items()}
    if "module" in value:
        kind: Any = _found(value["module"], nn.Module)
        module = kind.__new__(kind)
        nn.Module.__init__(module)
        vars(module).update(held)
        return module
    made: Any = _found(value["dataclass"], object)
    if not hasattr(made, "__dataclass_fields__"):
        raise TypeError(f"{value['dataclass']} is not a dataclass")
    return made(**held)


def _found(name: str, base: type) -> type:
    """Return the class of that name; only its package decides whether it may be imported."""
    where, _, path = name.partition(":")
    if where not in sys.modules and not where.startswith(OWN):
        raise ImportError(f"'{where}' is not loaded; name its file with --plugin or install its package")
    found: Any = importlib.import_module(where)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or not issubclass(found, base):
        raise TypeError(f"{name} is not a class of modules")
    return found
