"""Python source as definitions: what each statement computes and refers to, without what cannot change a number."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

Resolve = Callable[[str, list[str]], str]  # (dotted target of an import or definition, attributes) → its text
_DROPPED = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
_FIELDS = {"NamedTuple", "TypedDict", "BaseModel"}  # bases for which an annotation alone is a field
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass
class Source:
    """A module's imports, as name → dotted target, and its top-level statements by the names that they define."""

    name: str
    text: str
    is_package: bool
    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)  # the modules of `from module import *`
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    everywhere: list[ast.stmt] = field(default_factory=list)  # run on import; neither define nor mention a name

    def __post_init__(self) -> None:
        loose: list[ast.stmt] = []
        for statement in ast.parse(self.text).body:
            self._read_imports(statement)
            if _defines_nothing(statement):
                continue
            names = set(_bound(statement))
            for name in names:
                self.definitions.setdefault(name, []).append(statement)
            if not names and not isinstance(statement, ast.Import | ast.ImportFrom):
                loose.append(statement)
        for statement in loose:
            mentioned = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)} & self.definitions.keys()
            for held in [self.definitions[name] for name in mentioned] or [self.everywhere]:
                held.append(statement)

    def target(self, name: str) -> str | None:
        """Return the dotted target of a global name; None for a builtin."""
        if name in self.imports:
            return self.imports[name]
        known = name in self.definitions or (self.stars and not hasattr(builtins, name))
        return f"{self.name}.{name}" if known else None

    def _read_imports(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    self.imports[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                parents = self.name.split(".")[: None if self.is_package else -1]
                parents = parents[: len(parents) - node.level + 1] if node.level else []
                base = ".".join([*parents, *([node.module] if node.module else [])])
                self.stars += [base for alias in node.names if alias.name == "*"]
                self.imports |= {a.asname or a.name: f"{base}.{a.name}" for a in node.names if a.name != "*"}


class Reader:
    """Write statements as text that is equal for equal computations, wherever their module is and however it imports.

    Docstrings, annotations, imports and a class's `version` and `fidelity` are left out; names that are not local are
    written as `resolve` says.
    """

    def __init__(self, source: Source, resolve: Resolve) -> None:
        self.source, self.resolve = source, resolve
        self._locals: list[set[str]] = []

    def text(self, node: object) -> str:
        """Return the text of a node, of a list of them, or of a plain value."""
        if isinstance(node, list):
            return f"[{','.join(map(self.text, node))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.Name | ast.Attribute) and (found := self._reference(node)):
            return found
        if isinstance(node, ast.AnnAssign):
            return f"Assign({self.text([node.target])},{self.text(node.value)})"
        if isinstance(node, ast.Assign):
            return f"Assign({self.text(node.targets)},{self.text(node.value)})"
        self._locals.append(_local_names(node))
        parts = []
        for name, value in ast.iter_fields(node):
            if name in _DROPPED or value is None or value == []:
                continue
            kept = list(_kept(node, value)) if isinstance(value, list) and isinstance(value[0], ast.stmt) else value
            parts.append(f"{name}={self.text(kept)}")
        self._locals.pop()
        return f"{type(node).__name__}({','.join(parts)})"

    def _reference(self, node: ast.expr) -> str | None:
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            return None
        if any(node.id in names for names in self._locals):
            return None
        if node.id == "globals":
            self.resolve(self.source.name, [])  # refers to the whole module
        target = self.source.target(node.id)
        return self.resolve(target, attributes) if target else None


def _defines_nothing(statement: ast.stmt) -> bool:
    """Return whether a top-level statement is a docstring, `__all__`, `if TYPE_CHECKING` or `if __name__ == …`."""
    if isinstance(statement, ast.If):
        return any(isinstance(n, ast.Name) and n.id in ("TYPE_CHECKING", "__name__") for n in ast.walk(statement.test))
    return _is_docstring(statement) or list(_bound(statement)) == ["__all__"]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _kept(parent: ast.AST, body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body that compute something."""
    is_class = isinstance(parent, ast.ClassDef)
    has_fields = isinstance(parent, ast.ClassDef) and (
        parent.decorator_list or _FIELDS & {getattr(base, "id", "") for base in parent.bases}
    )
    for node in body:
        if _is_docstring(node) or isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
            continue
        if isinstance(node, ast.AnnAssign) and node.value is None and not has_fields:
            continue
        if is_class and list(_bound(node)) in (["version"], ["fidelity"]):
            continue
        yield node


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in its own scope, other than by an import."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, ast.expr) or isinstance(child, ast.Tuple | ast.List | ast.Starred):
            yield from _bound(child)


def _local_names(node: ast.AST) -> set[str]:
    """Return the names that a function or a comprehension defines for itself."""
    if not isinstance(node, _SCOPES):
        return set()
    names: set[str] = set()
    queue: list[ast.AST] = list(ast.iter_child_nodes(node))
    while queue:
        child = queue.pop()
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names.add(child.id)
        elif isinstance(child, ast.arg):
            names.add(child.arg)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler):
            names.add(child.name or "")
        if not isinstance(child, (*_SCOPES, ast.ClassDef)):
            queue += ast.iter_child_nodes(child)
    return names
