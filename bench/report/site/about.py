"""What a method says of itself: the docstring of its class, read from its source without importing it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path

from markupsafe import Markup, escape

from bench.errors import UserError
from bench.plugins import registry


def docstring(name: str) -> str | None:
    """Return the docstring of the method registered under a name; None where it is not installed or says nothing."""
    try:
        plugin = registry.plugins("methods").get(name)
    except UserError:  # two installed methods of one name: neither can be told to be the one that ran
        return None
    if plugin is None:
        return None
    module, _, attribute = plugin.target.partition(":")
    try:
        path = plugin.file or _source(module)
        tree = ast.parse(path.read_text(encoding="utf-8")) if path else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return None
    nodes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == attribute]
    text = (ast.get_docstring(nodes[0]) if nodes else None) or ast.get_docstring(tree)
    return inspect.cleandoc(text) if text else None


def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # a package that cannot be imported; what others installed must not stop a report
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def as_html(text: str) -> Markup:
    """Lay a docstring out: paragraphs, lists of lines that begin with a dash, `code`."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        items = re.split(r"(?m)^\s*- ", block)
        if items[0].strip():
            blocks.append(Markup("<p>{}</p>").format(_inline(items[0])))
        if len(items) > 1:
            lines = Markup("").join(Markup("<li>{}</li>").format(_inline(item)) for item in items[1:])
            blocks.append(Markup("<ul>{}</ul>").format(lines))
    return Markup("\n").join(blocks)


def _inline(text: str) -> Markup:
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))
