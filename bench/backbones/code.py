"""Third-party source code that decides what a network computes."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from bench.plugins.registry import FILE_MODULE

_read: dict[str, tuple[ModuleSpec | None, str]] = {}  # module → its spec and text, as they were when it was imported


def code_digest(factory: Any, network: nn.Module) -> str:
    """Return a digest of the modules that define a factory and its network, and of what these import.

    Imports are followed into the factory's own package and every module outside installed packages; comments and
    formatting do not count. A module is read once per import, so editing its file later does not change the digest.
    """
    first = inspect.unwrap(getattr(factory, "func", factory))
    start = getattr(first, "__module__", None) or type(first).__module__
    package = start.partition(".")[0]
    queue, texts, seen = {start, *(type(m).__module__ for m in network.modules())}, {}, set[str]()
    while queue:
        name = queue.pop()
        module = sys.modules.get(name)
        if name in seen or module is None or not _followed(module, package):
            continue
        seen.add(name)
        file = name.startswith(FILE_MODULE)  # such a module is named by its content, comments included
        texts["plugin file" if file else name] = _text(module)
        queue |= set(_mentioned(vars(module).values()))
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()


def blame(error: BaseException) -> str:
    """Describe what was raised, and where in code outside installed packages."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    said = f"{type(error).__name__}: {' '.join(text.split())}".rstrip(": .")
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said} ({Path(error.filename).name}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_own(f.filename)]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said


def _followed(module: ModuleType, package: str) -> bool:
    file, top = getattr(module, "__file__", None), module.__name__.partition(".")[0]
    return file is not None and top != "bench" and (top == package or _is_own(file))


def _is_own(file: str) -> bool:
    """Return whether a code file is outside exitbench, installed packages and the standard library."""
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    system = (Path(sysconfig.get_path("stdlib")), Path(__file__).parents[1])
    return path.is_absolute() and not installed and not any(folder in path.parents for folder in system)


def _text(module: ModuleType) -> str:
    spec, file = module.__spec__, Path(str(module.__file__))
    known = _read.get(module.__name__)
    if known is None or known[0] is not spec:
        content = file.read_bytes() if file.is_file() else b""
        text = ast.unparse(ast.parse(content)) if file.suffix == ".py" else hashlib.sha256(content).hexdigest()
        known = _read[module.__name__] = (spec, text)
    return known[1]


def _mentioned(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, ModuleType):
            yield value.__name__
        else:
            yield str(value.__module__ if isinstance(value, type | FunctionType) else type(value).__module__)
