"""Make torchvision importable with a torch build that its compiled operators were not built for."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_keep_alive: list[Any] = []  # a torch.library.Library removes its definitions when it is garbage-collected


def ensure_torchvision() -> ModuleType:
    """Import and return torchvision.

    A torchvision built for another torch (a CUDA wheel with a CPU torch) fails on import, because the operators that
    its extension would have registered are missing. Their schemas are then declared here, and the import is repeated:
    transforms and models work, calling `nms` itself does not. If torchvision works, nothing is changed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error) or "does not exist" not in str(error):
            raise
    for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep_alive.append(library)
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Import and return timm, which imports torchvision."""
    ensure_torchvision()
    return importlib.import_module("timm")
