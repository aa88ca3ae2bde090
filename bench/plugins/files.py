"""Plugin files: `--plugin my_method.py` registers the methods and head recipes that a file defines."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from importlib.abc import FileLoader, SourceLoader
from pathlib import Path
from types import ModuleType

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.registry import Plugin
from bench.system.paths import user_path


def load_files(paths: Iterable[Path | str]) -> None:
    """Load several plugin files, in the order given."""
    for path in paths:
        load_file(path)


def load_file(path: Path | str) -> list[Plugin]:
    """Run a plugin file and register its methods and head recipes by their `name`; return them.

    A second call with the same content changes nothing; with other content it replaces what the file registered before.
    The module is named by its content, so that another process that loads the same file can unpickle its classes.
    Raises UserError if the file cannot be read, fails (with the line), defines no plugin, or uses a name that is taken.
    """
    path = user_path(path).resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"The plugin file '{path}' cannot be read ({error.strerror}).") from None
    digest = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
    name = f"exitbench_plugin_{digest[:16]}"
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
    from bench.method import Method
    from bench.recipe import Recipe

    kinds: tuple[tuple[registry.Kind, type], ...] = (("methods", Method), ("heads", Recipe))
    found = []
    for key, cls in vars(module).items():
        if not isinstance(cls, type) or cls.__module__ != module.__name__ or key.startswith("_"):
            continue
        for kind, base in kinds:
            if issubclass(cls, base) and key == cls.__name__:
                name = getattr(cls, "name", key)
                if problem := registry.fault(kind, name, cls):
                    raise UserError(f"The plugin file '{path}' is broken: {problem}.")
                found.append(Plugin(kind, name, f"{module.__name__}:{key}", path.name, path))
    if not found:
        raise UserError(
            f"The plugin file '{path}' defines neither a method (a subclass of bench.method.Method with a "
            "`name`) nor a head recipe (of bench.recipe.Recipe). `bench new-method NAME` writes one."
        )
    return found
