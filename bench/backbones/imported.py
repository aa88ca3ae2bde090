"""Import `module:factory`, from the current folder or the Python path."""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.backbones.code import blame
from bench.errors import UserError, nearest
from bench.plugins import registry
from bench.system.recall import unrepeatable


def import_factory(module: str, attribute: str) -> Callable[..., Any]:
    """Import a module and return one of its callables; raise UserError if it is missing or the import fails."""
    unrepeatable()  # a third-party module may read anything while it is imported
    found = _import(module, attribute)
    try:
        factory = functools.reduce(getattr, attribute.split("."), found)
    except AttributeError:
        own = [n for n, v in vars(found).items() if callable(v) and getattr(v, "__module__", None) == module]
        place = getattr(found, "__file__", None) or "which is a folder without code"
        raise UserError(f"The module '{module}' ({place}) has no '{attribute}'.{nearest(attribute, own)}") from None
    if not callable(factory):
        raise UserError(
            f"'{module}:{attribute}' is {type(factory).__name__}, not a function that returns a backbone. "
            "Give a function of the module."
        )
    return factory


def _import(module: str, attribute: str) -> ModuleType:
    try:
        with here():
            return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            known = registry.plugins("backbones")
            raise UserError(
                f"There is no backbone '{module}', and no Python module '{error.name}' in the current folder or on the "
                f"Python path.{nearest(module, known)} See `bench list backbones`."
            ) from None
        raise UserError(
            f"The module '{module}' cannot be imported: {blame(error)}. Correct it, then run "
            f"`bench check-backbone {module}:{attribute}`."
        ) from error


@contextmanager
def here() -> Iterator[None]:
    """Let imports of the block find modules in the current folder, and let the block print to stderr only."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(folder)
