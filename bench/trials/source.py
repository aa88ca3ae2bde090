"""The digest of the source that makes a method: its own file and every file of this project that it is built from."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

# Rooms of this project whose code can move a number that a method makes.
ROOMS = "heads exits budgets rules mixing states gates presets surrogate logistic bilevel curve laplace risk"
ROOMS += " scheduler methods"
SHARED = tuple(f"bench.{room}" for room in ROOMS.split())


@cache
def source_digest(cls: type) -> str:
    """Hash (16 hex digits) the source of a method and of all that it imports from the shared rooms and its own package.

    Read once per process and class, when the method is planned: what a record names is what ran.
    """
    module = sys.modules[cls.__module__]
    package = cls.__module__.partition(".")[0]
    follow = SHARED if package == "bench" else (*SHARED, package)
    seen: dict[str, bytes] = {}
    _collect(cls.__module__, Path(module.__file__ or ""), follow, seen)
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()[:16]


def _collect(name: str, path: Path, follow: tuple[str, ...], seen: dict[str, bytes]) -> None:
    if name in seen:
        return
    seen[name] = path.read_bytes().replace(b"\r\n", b"\n")
    for module in _imports(name, seen[name].decode("utf-8"), path.name == "__init__.py"):
        found = _find(module) if _within(module, follow) else None
        if found is not None:
            _collect(*found, follow, seen)


def _within(module: str, follow: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in follow)


def _imports(name: str, source: str, is_package: bool) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".")[: None if is_package else -1]
            parents = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def _find(module: str) -> tuple[str, Path] | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, AttributeError):
        return None
    return (module, Path(spec.origin)) if spec and spec.origin and spec.origin.endswith(".py") else None
