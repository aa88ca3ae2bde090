"""The digest of the code that makes a method, a head recipe or a reference."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import FunctionType

from bench.trials.syntax import Reader, Source

# Modules of this project whose code can change a number that a method produces. They are followed through imports.
ROOMS = ("methods", "heads", "recipe", "rules", "method", "exits", "budgets", "costs", "trials.references")
Name = tuple[str, str]  # module and the name of a definition in it; an empty name is the whole module


@cache
def code_digest(made_by: type | FunctionType, rooms: tuple[str, ...] = ROOMS) -> str:
    """Return a digest (16 hex digits) of a definition and of all definitions that it refers to, directly or not.

    References are followed within `rooms` and the definition's own package. The digest does not depend on docstrings,
    comments, annotations, formatting, imports, on a class's `version` or `fidelity`, or on which module defines what.
    It is computed once per process, so a file that is edited later does not change it.
    """
    module, package = made_by.__module__, made_by.__module__.partition(".")[0]
    own = () if package == "bench" else (package,)
    return _code((*(f"bench.{room}" for room in rooms), *own)).digest((module, made_by.__qualname__.partition(".")[0]))


@cache
def _code(followed: tuple[str, ...]) -> _Code:
    return _Code(followed)


class _Code:
    """All definitions of the followed modules, read when they are needed."""

    def __init__(self, followed: tuple[str, ...]) -> None:
        self._followed = followed
        self._projects = {module.partition(".")[0] for module in followed}
        self._sources: dict[str, Source | None] = {}
        self._read: dict[ast.stmt, tuple[str, set[Name]]] = {}

    def digest(self, start: Name) -> str:
        """Hash the set of statements that can be reached from a definition."""
        queue, seen, hashes = [start], set(), set()
        while queue:
            definition = queue.pop()
            if definition in seen:
                continue
            seen.add(definition)
            for statement in self._statements(definition):
                digest, references = self._hash(definition[0], statement)
                hashes.add(digest)
                queue += references
        return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()[:16]

    def _statements(self, definition: Name) -> list[ast.stmt]:
        module, name = definition
        source = self._source(module)
        if source is None:
            return []
        if name in source.definitions:
            return [*source.definitions[name], *source.everywhere]
        return [*(s for held in source.definitions.values() for s in held), *source.everywhere]

    def _hash(self, module: str, statement: ast.stmt) -> tuple[str, set[Name]]:
        """Return the digest of a statement's text, and the definitions that it refers to."""
        if statement not in self._read:
            references: set[Name] = set()

            def resolve(target: str, attributes: list[str]) -> str:
                found = self._locate(".".join([target, *attributes]))
                if found is not None:
                    (home, name), rest = found
                    references.add((home, name))
                    return f"Reference({'.'.join([name or home.rpartition('.')[2], *rest])})"
                own = target.partition(".")[0] in self._projects  # of this project, whose modules may move
                return f"Reference({'.'.join([target.rpartition('.')[2] if own else target, *attributes])})"

            source = self._source(module)
            assert source is not None
            text = Reader(source, resolve).text(statement)
            self._read[statement] = hashlib.sha256(text.encode()).hexdigest(), references
        return self._read[statement]

    def _locate(self, dotted: str) -> tuple[Name, list[str]] | None:
        """Return the definition that a dotted name leads to, and the attributes left over; None if not followed."""
        parts = dotted.split(".")
        for count in range(len(parts), 0, -1):
            module = ".".join(parts[:count])
            source = self._source(module)
            if source is None:
                continue
            name, *rest = parts[count:] or [""]
            if not name or name in source.definitions:
                return (module, name), rest
            for target in [source.imports[name]] if name in source.imports else [f"{s}.{name}" for s in source.stars]:
                if target != dotted and (found := self._locate(".".join([target, *rest]))):
                    return found
            return None if name in source.imports else ((module, ""), [name, *rest])
        return None

    def _source(self, module: str) -> Source | None:
        """Return the source of a followed module; None for any other."""
        if module not in self._sources:
            self._sources[module] = self._load(module)
        return self._sources[module]

    def _load(self, module: str) -> Source | None:
        if not any(module == room or module.startswith(f"{room}.") for room in self._followed):
            return None
        parent = module.rpartition(".")[0]
        above = self._source(parent)
        if above is not None and not above.is_package:
            return None
        path = _path(module)
        return Source(module, read(path), path.name == "__init__.py") if path else None


def read(path: Path) -> str:
    """Return the text of a source file."""
    return path.read_text(encoding="utf-8")


def _path(module: str) -> Path | None:
    if module in sys.modules:
        found = getattr(sys.modules[module], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, AttributeError, ValueError):
            return None
        found = spec.origin if spec else None
    return Path(found) if found and found.endswith(".py") else None
