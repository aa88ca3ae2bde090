"""The numbers of a policy for people to read: thresholds, temperatures, parameters of gates."""

from __future__ import annotations

import math
from types import FunctionType
from typing import Any

from torch import Tensor, nn

MOST = 256  # numbers of a tensor that are written out
LAYERS = "torch.nn.modules"  # of which only shapes are shown


def numbers(policy: nn.Module) -> dict[str, Any]:
    """Return a policy's plain attributes and small tensors by their dotted names; for a large tensor, its shape."""
    found: dict[str, Any] = {}
    for prefix, module in policy.named_modules():
        layer = type(module).__module__.startswith(LAYERS) and not isinstance(module, nn.ParameterList)
        for key, value in {} if layer else vars(module).items():
            if not key.startswith("_") and key != "training" and (plain := _plain(value)) is not None:
                found[f"{prefix}.{key}".lstrip(".")] = plain
        for key, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            found[f"{prefix}.{key}".lstrip(".")] = _listed(tensor, 0 if layer else MOST)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, FunctionType):
        return value.__name__
    if isinstance(value, float):
        return _number(value)
    return value if isinstance(value, bool | int | str) and value != "" else None


def _listed(tensor: Tensor, most: int) -> Any:
    if tensor.numel() > most:
        return f"{' × '.join(map(str, tensor.shape))} numbers, in policy.safetensors"
    return _numbers(tensor.detach().cpu().tolist())


def _numbers(value: Any) -> Any:
    return [_numbers(item) for item in value] if isinstance(value, list) else _number(value)


def _number(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
