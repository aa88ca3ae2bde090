"""The digest of the source that makes a method: its own file and every file of this project that it is built from."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

ROOMS = "heads exits budgets rules mixing states gates logistic bilevel curve laplace risk scheduler methods"  # whose code can move a number
SHARED = tuple(f"bench.{room}" for room in ROOMS.split())


def source_digest(cls: type) -> str:
    """Hash (16 hex digits) the method's module and all modules of the shared rooms that it imports, directly or not."""
    seen: dict[str, bytes] = {}
    _collect(cls.__module__, Path(sys.modules[cls.__module__].__file__ or ""), seen)
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()[:16]


def _collect(name: str, path: Path, seen: dict[str, bytes]) -> None:
    if name in seen:
        return
    seen[name] = path.read_bytes().replace(b"\r\n", b"\n")
    for module in _imports(seen[name].decode("utf-8")):
        found = _find(module)
        if found is not None:
            _collect(*found, seen)


def _imports(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {n for n in names if n.startswith(SHARED)}


@cache
def _find(module: str) -> tuple[str, Path] | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return (module, Path(spec.origin)) if spec and spec.origin and spec.origin.endswith(".py") else None
