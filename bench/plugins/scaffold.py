"""The files that `bench new KIND NAME` writes: a working plugin and its test."""

from __future__ import annotations

import ast
import importlib
import keyword
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from string import Template

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.files import FUNCTIONS
from bench.plugins.registry import Kind


def write(name: str, folder: Path, kind: Kind = "methods") -> tuple[Path, Path]:
    """Write NAME.py and test_NAME.py into a folder and return their paths.

    Raises UserError if the name cannot be used or is taken, or if a file exists.
    """
    check_name(name, kind)
    files = {folder / f"{name}.py": source(name, kind), folder / f"test_{name}.py": test(name, kind=kind)}
    for path in files:
        if path.exists():
            raise UserError(f"'{path}' exists already. Choose another name or another --to.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UserError(f"The folder '{folder}' cannot be written to ({error.strerror}). Give another --to.") from None
    first, second = files
    return first, second


def source(name: str, kind: Kind = "methods") -> str:
    """Return the source of a new plugin."""
    return _template(kind, "SOURCE").substitute(name=name, cls=_class(name, kind))


def test(name: str, package: str | None = None, kind: Kind = "methods") -> str:
    """Return the source of its test, for a file beside it or for an installed package with an entry point."""
    module = package or name
    subject = f'"{name}"' if package else f'"{name}", [Path(__file__).with_name("{name}.py")]'
    imports = "" if package else "from pathlib import Path\n\n"
    given = {"name": name, "cls": _class(name, kind), "module": module, "subject": subject, "imports": imports}
    return _template(kind, "TEST").substitute(given)


def check_name(name: str, kind: Kind = "methods") -> None:
    """Raise UserError unless the name is free and valid as a file, as a module and in the registry."""
    word = kind[:-1]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        fitting = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        usable = re.fullmatch(r"[a-z][a-z0-9_]*", fitting) and not keyword.iskeyword(fitting)
        hint = f" Try '{fitting}'." if usable else ""
        rule = "use lower-case letters, digits and underscores, starting with a letter"
        raise UserError(f"'{name}' is not a valid {word} name: {rule}.{hint}")
    if name in registry.RESERVED.get(kind, ()):
        raise UserError(f"'{name}' is a reserved word. Choose another name.")
    if name in sys.stdlib_module_names or name in packages_distributions():
        raise UserError(f"A file of that name would hide the Python module '{name}'. Choose another name.")
    if kind in FUNCTIONS and name in _names(source("_", kind)):
        raise UserError(f"The new file uses the name '{name}' for something else. Choose another name.")
    taken = registry.plugins(kind).get(name)
    if taken:
        raise UserError(f"There is already a {word} '{name}': {taken.origin}. Choose another name.")


def _names(text: str) -> set[str]:
    """Return the names that a source defines, imports or uses."""
    nodes = list(ast.walk(ast.parse(text)))
    return {str(getattr(node, field, "")) for node in nodes for field in ("id", "name", "asname")}


def _class(name: str, kind: Kind) -> str:
    words = "".join(word.capitalize() for word in name.split("_"))
    taken = re.search(rf"\b{words}\b", _template(kind, "SOURCE").template)  # a name that the file uses
    return words if not taken else f"{words}{'Rule' if kind == 'methods' else 'Recipe'}"


def _template(kind: Kind, name: str) -> Template:
    return getattr(importlib.import_module(f"bench.plugins.templates.{kind[:-1]}"), name)
