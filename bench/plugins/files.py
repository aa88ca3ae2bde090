"""Plugin files: `--plugin mine.py` registers the methods, head recipes, datasets and backbones that a file defines."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib.abc import FileLoader, SourceLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.params import kinds_of
from bench.plugins.registry import Plugin
from bench.system.paths import user_path

CLASSES: tuple[registry.Kind, ...] = ("methods", "heads")
FUNCTIONS: tuple[registry.Kind, ...] = ("datasets", "backbones")


def load_files(paths: Iterable[Path | str]) -> None:
    """Load several plugin files, in the order given."""
    for path in paths:
        load_file(path)


def load_file(path: Path | str) -> list[Plugin]:
    """Run a plugin file, register the plugins that it defines, and return them.

    Methods and head recipes are classes, registered by their `name`. Datasets and backbones are functions, recognised
    by their return annotation and registered by their own names. Names that begin with `_` are left out.
    A second call with the same content changes nothing; with other content it replaces the file's earlier plugins.
    The module is named after its content, so that another process that loads the same file can unpickle its classes.
    Raises UserError if the file cannot be read, fails (with the line), defines no plugin, or uses a name that is taken.
    """
    path = user_path(path).resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"The plugin file '{path}' cannot be read ({error.strerror}).") from None
    digest = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
    name = f"{registry.FILE_MODULE}{digest[:16]}"
    module = sys.modules.get(name) or _run(name, path)
    found = _found(module, path)
    registry.add(path, found)
    module.__file__ = str(path)  # which may differ from where the same content was first loaded
    return found


class _Uncached(FileLoader, SourceLoader):  # type: ignore[misc]
    """Compile the source every time: cached byte code may be of an older version saved in the same second."""


def _run(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_loader(name, _Uncached(name, str(path)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise UserError(f"The plugin file '{path}'{_line(error, path)} is broken: {_say(error)}.") from error
    return module


def _line(error: BaseException, path: Path) -> str:
    frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    number = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else frames and frames[-1]
    return f", line {number}," if number else ""


def _say(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".rstrip(": .")


def _found(module: ModuleType, path: Path) -> list[Plugin]:
    found = []
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        kind = _kind(value, module, path)
        if kind is None or key != value.__name__:
            continue
        given = getattr(value, "name", None)
        name = given if isinstance(value, type) and isinstance(given, str) else key
        if problem := registry.fault(kind, name, value):
            raise UserError(f"The plugin file '{path}' is broken: {problem}.")
        found.append(Plugin(kind, name, f"{module.__name__}:{key}", path.name, path))
    if not found:
        raise UserError(f"The plugin file '{path}' does not define a plugin{_near(module)}. {VALID}")
    _once(found, path)
    return found


VALID = (
    "A method or head recipe is a subclass of bench.method.Method or bench.recipe.Recipe with a `name`; a dataset or "
    "backbone is a function that is annotated to return an `ImageDataset`, a `TextDataset` or a `StagedBackbone`. "
    "`bench new method|head|dataset|backbone NAME` writes one."
)


def _kind(value: Any, module: ModuleType, path: Path) -> registry.Kind | None:
    """Return the kind of a class or a function of a plugin file; None if it is not a plugin."""
    if isinstance(value, type):
        return next((kind for kind in CLASSES if registry.derived(value, registry.BASES[kind])), None)
    result = getattr(value, "__annotations__", {}).get("return") if callable(value) else None
    if isinstance(result, str):
        result = _resolved(result, value.__name__, module, path)
    parts = kinds_of(result)
    return next((kind for kind in FUNCTIONS if any(registry.derived(p, registry.BASES[kind]) for p in parts)), None)


def _resolved(text: str, name: str, module: ModuleType, path: Path) -> Any:
    """Return the type that an annotation names; None if it cannot be read and does not name a plugin's type."""
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"return": text}), vars(module))["return"]
    except Exception as error:  # an annotation may be any text
        if not re.search(r"\b(Dataset|ImageDataset|TextDataset|StagedBackbone)\b", text):
            return None
        raise UserError(
            f"The plugin file '{path}' is broken: {name} is annotated to return '{text}', which cannot be read "
            f"({error}). Import the type at the top of the file, outside of `if TYPE_CHECKING`."
        ) from None


def _near(module: ModuleType) -> str:
    """Return a hint about a class of the file that may have been meant as a plugin."""
    meant = {
        "bench.method.Policy": "a policy, which a method returns from `fit`",
        "bench.recipe.Heads": "fitted heads, which a recipe returns from `fit`",
        registry.BASES["datasets"]: "a class of datasets, and a dataset is a function that returns one",
        registry.BASES["backbones"]: "a class of backbones, and a backbone is a function that returns one",
    }
    for key, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__:
            for base, words in meant.items():
                if registry.derived(value, base):
                    return f" ({key} is {words})"
    return ""


def _once(found: Sequence[Plugin], path: Path) -> None:
    """Raise UserError if a file defines a plugin's class or function twice, because Python keeps only the last one."""
    statements = [n for n in ast.parse(path.read_bytes()).body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    for plugin in found:
        attribute = plugin.target.partition(":")[2]
        lines = [str(n.lineno) for n in statements if n.name == attribute]
        if len(lines) > 1:
            raise UserError(
                f"The plugin file '{path}' defines {attribute} {len(lines)} times (lines {', '.join(lines)}), and "
                "Python keeps the last one. Rename or remove the others."
            )
