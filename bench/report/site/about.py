"""The description of a method: the docstring and the `fidelity` of its class, read without importing it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup, escape

from bench.errors import UserError
from bench.plugins import registry


@dataclass(frozen=True)
class About:
    """The docstring of a method, and the fields of its `fidelity` (see `bench.method.Fidelity`)."""

    text: str | None = None
    source: dict[str, str] = field(default_factory=dict)

    @property
    def link(self) -> str:
        """The address of the paper; '' if there is none or it is not an http address."""
        found = self.source.get("link", "")
        return found if re.match(r"https?://", found) else ""


def about(name: str) -> About:
    """Return the description of the method registered under a name; empty if it is not installed or has none."""
    try:
        plugin = registry.plugins("methods").get(name)
    except UserError:  # two installed methods have this name, and it is unknown which one ran
        return About()
    if plugin is None:
        return About()
    module, _, attribute = plugin.target.partition(":")
    try:
        path = plugin.file or _source(module)
        tree = ast.parse(path.read_text(encoding="utf-8")) if path else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return About()
    node = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == attribute), None)
    text = (ast.get_docstring(node) if node else None) or ast.get_docstring(tree)
    return About(inspect.cleandoc(text) if text else None, _fidelity(node) if node else {})


def _fidelity(node: ast.ClassDef) -> dict[str, str]:
    """Return the constant fields of the `fidelity` in a class statement."""
    for part in node.body:
        if not isinstance(part, ast.AnnAssign | ast.Assign) or not isinstance(part.value, ast.Call):
            continue
        targets = part.targets if isinstance(part, ast.Assign) else [part.target]
        if any(isinstance(target, ast.Name) and target.id == "fidelity" for target in targets):
            words = {word.arg: word.value for word in part.value.keywords if word.arg}
            return {key: str(value.value) for key, value in words.items() if isinstance(value, ast.Constant)}
    return {}


def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # a broken package of a plugin must not stop a report
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def as_html(text: str) -> Markup:
    """Return a docstring as HTML: paragraphs, lists (lines that begin with a dash) and `code`."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        items = re.split(r"(?m)^\s*- ", block)
        if items[0].strip():
            blocks.append(Markup("<p>{}</p>").format(inline(items[0])))
        if len(items) > 1:
            lines = Markup("").join(Markup("<li>{}</li>").format(inline(item)) for item in items[1:])
            blocks.append(Markup("<ul>{}</ul>").format(lines))
    return Markup("\n").join(blocks)


def inline(text: str) -> Markup:
    """Return a line as HTML, with `code` between backticks and white space collapsed."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))
