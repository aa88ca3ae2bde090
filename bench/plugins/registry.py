"""Lazy registry of plugins. Names come from entry points and plugin files; a plugin is imported when it is loaded."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

from bench.errors import UserError, nearest
from bench.system.extras import lacking
from bench.system.installed import entries, owner, release
from bench.system.recall import Recording, recall, remember, unrepeatable

Kind = Literal["methods", "heads", "datasets", "backbones"]
KINDS: tuple[Kind, ...] = ("methods", "heads", "datasets", "backbones")
Described = tuple[str, str | None, str]  # summary, why it is broken, basis
BASES: dict[Kind, str] = {  # what a method and a recipe are derived from, and what a dataset and a backbone return
    "methods": "bench.method.Method",
    "heads": "bench.recipe.Recipe",
    "datasets": "bench.datasets.dataset.Dataset",
    "backbones": "bench.backbones.staged.StagedBackbone",
}
FILE_MODULE = "exitbench_plugin_"  # prefix of a plugin file's module name; a digest of its content follows
RESERVED = {"methods": ("all", "references", "static", "random", "oracle", "hull")}  # words of commands and tables


@dataclass(frozen=True)
class Plugin:
    """One registered name: where it is defined and which distribution provides it. Loading it is a separate step."""

    kind: Kind
    name: str
    target: str  # module:attribute
    distribution: str
    file: Path | None = None  # the plugin file, if no distribution provides it
    held: Any = field(default=None, compare=False)  # the object itself, if this process defined it

    @property
    def origin(self) -> str:
        """Return where it comes from, for messages."""
        if self.file:
            return f"{self.target.partition(':')[2]} in the file {self.file}"
        return f"{self.target} (from {self.distribution})"

    @property
    def own(self) -> bool:
        """Return whether exitbench provides it."""
        return self.distribution == "exitbench"

    @property
    def made_by(self) -> str:
        """Return what identifies its code in records: a digest of its file, or its package and version; no path."""
        if self.file:
            return f"file {self.target.partition(':')[0].removeprefix(FILE_MODULE)}"
        return " ".join([self.distribution, *(str(part) for part in (release(self.distribution) or ())[:1])])

    def load(self) -> Any:
        """Import the plugin; raise UserError with the reason if that fails or it is not of its kind."""
        if not self.own:
            unrepeatable()  # `recall` tracks only this project's code
        loaded, problem = self._import()
        if problem:
            advice = "" if self.file else " Repair, reinstall or remove that distribution."
            raise UserError(f"The {self.kind[:-1]} '{self.name}', {self.origin}, is broken: {problem}.{advice}")
        return loaded

    def _import(self) -> tuple[Any, str | None]:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                loaded = self.held or EntryPoint(self.name, self.target, f"bench.{self.kind}").load()
            return loaded, fault(self.kind, self.name, loaded)
        except (Exception, SystemExit) as error:
            if self.own and (sentence := lacking(error)):
                raise UserError(sentence) from None
            return None, f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")

    def describe(self) -> tuple[str, str | None]:
        """Return its one-line summary, and the reason if it is broken.

        Built-in plugins are read from their source, without importing it; others are imported.
        """
        return self._described()[:2]

    def basis(self) -> str:
        """Return what a method's implementation is based on (`bench.method.Basis`); empty if it does not say."""
        return self._described()[2]

    def _described(self) -> Described:
        if self.own:
            return _summaries().get(self.target) or self._read()
        loaded, problem = self._import()
        if problem:
            return "", problem, ""
        summary = (loaded.__doc__ or "").strip().partition("\n")[0]
        return summary, None, getattr(getattr(loaded, "fidelity", None), "basis", "")

    def _read(self) -> Described:
        module, _, attribute = self.target.partition(":")
        try:
            path = _source(module)
            if path is None:
                return "", f"there is no module {module}", ""
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (ImportError, OSError, SyntaxError, ValueError) as error:
            return "", f"{type(error).__name__}: {error}", ""
        nodes = [n for n in tree.body if getattr(n, "name", None) == attribute]
        own = ast.get_docstring(nodes[0]) if nodes else None  # type: ignore[arg-type]
        text = own or ast.get_docstring(tree) or ""
        return text.strip().partition("\n")[0], None, _basis(nodes)


def _basis(nodes: Sequence[ast.AST]) -> str:
    """Return the `basis` in the `fidelity` of a class statement; empty if there is none."""
    for node in (part for cls in nodes if isinstance(cls, ast.ClassDef) for part in cls.body):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", None) == "fidelity":
            words = {w.arg: w.value for w in getattr(node.value, "keywords", ())}
            return getattr(words.get("basis"), "value", "")
    return ""


@cache
def _summaries() -> dict[str, Described]:
    """Return the description of every built-in plugin that can be read, by target."""
    known = recall("descriptions", "built-in")
    if known is None:
        built_in = {p.target: p for kind in KINDS for p in _installed(kind).values() if p.own}
        known = {target: plugin._read() for target, plugin in built_in.items()}
        known = {target: found for target, found in known.items() if found[1] is None}
        remember("descriptions", "built-in", known, Recording())
    return known


def _source(module: str) -> Path | None:
    """Return the file of a module without importing the package that it is in, which is slow."""
    package, _, name = module.rpartition(".")
    spec = importlib.util.find_spec(package or name)
    if spec is None:
        return None
    if not package:
        return Path(spec.origin) if spec.origin else None
    path = Path((spec.submodule_search_locations or [""])[0], name)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def fault(kind: Kind, name: str, loaded: Any) -> str | None:
    """Return why a loaded object is not a valid plugin of this kind and name; None if it is."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return f"'{name}' is not a valid name; use letters, digits and underscores"
    if kind in ("datasets", "backbones"):
        return _function_fault(kind, loaded)
    if not derived(loaded, BASES[kind]):
        return f"it is not a subclass of {BASES[kind]}"
    if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
        return f"{loaded.__name__} does not define {', '.join(missing)}"
    if not isinstance(getattr(loaded, "name", None), str):
        return f"{loaded.__name__} has no `name`"
    if loaded.name != name:
        return f"{loaded.__name__}.name is '{loaded.name}', but it is registered as '{name}'"
    if name in RESERVED.get(kind, ()):
        return f"'{name}' is a reserved word; choose another name"
    if type(version := loaded.version) is not int or version < 1:
        return f"{loaded.__name__}.version is {version!r}, but it must be a whole number, 1 or more"
    if not hasattr(getattr(loaded, "Config", None), "__dataclass_fields__"):
        return f"{loaded.__name__}.Config must be a frozen dataclass, even if it has no fields"
    try:
        loaded.Config()
    except Exception as error:
        return f"{loaded.__name__}.Config() without arguments fails ({error}); every field needs a valid default"
    return None


def _function_fault(kind: Kind, loaded: Any) -> str | None:
    """Return why an object cannot be called like a dataset or a backbone; None if it can."""
    if not callable(loaded):
        return f"it is {type(loaded).__name__}, not a function"
    if kind == "datasets":
        with contextlib.suppress(ValueError):  # a function without a signature
            try:
                inspect.signature(loaded).bind(None, None)
            except TypeError as error:
                name = getattr(loaded, "__name__", "it")
                return f"{name} cannot be called as {name}(argument, data_dir): {error}; other parameters need defaults"
    return None


def derived(found: Any, base: str) -> bool:
    """Return whether an object is a class derived from `base`, the full name of a class that need not be imported."""
    return isinstance(found, type) and any(f"{c.__module__}.{c.__qualname__}" == base for c in found.__mro__)


_files: dict[Kind, dict[str, Plugin]] = {kind: {} for kind in KINDS}


def plugins(kind: Kind) -> dict[str, Plugin]:
    """Return all plugins of a kind, sorted by name; raise UserError if two installed ones share a name."""
    return dict(sorted({**_installed(kind), **_files[kind]}.items()))


@cache
def _installed(kind: Kind) -> dict[str, Plugin]:
    return collect(kind, entries(f"bench.{kind}"))


def collect(kind: Kind, found: Iterable[EntryPoint]) -> dict[str, Plugin]:
    """Turn entry points into plugins; raise UserError if two different ones share a name."""
    result: dict[str, Plugin] = {}
    for entry in found:
        plugin = Plugin(kind, entry.name, entry.value, owner(entry) or "this run")
        other = result.setdefault(entry.name, plugin)
        if other.target != plugin.target:
            raise _twice(other, plugin, "Uninstall or rename one of them.")
    return dict(sorted(result.items()))


def add(file: Path, found: Iterable[Plugin]) -> None:
    """Register the plugins of a file in place of those it defined before; raise UserError if a name is taken."""
    found = list(found)
    kept = {kind: {n: p for n, p in known.items() if p.file != file} for kind, known in _files.items()}
    for plugin in found:
        taken = {**_installed(plugin.kind), **kept[plugin.kind]}
        if plugin.name in taken:
            raise _twice(taken[plugin.name], plugin, "Rename one of them.")
        kept[plugin.kind][plugin.name] = plugin
    _files.update(kept)


def _twice(first: Plugin, second: Plugin, advice: str) -> UserError:
    return UserError(f"Two {first.kind} are called '{first.name}': {first.origin} and {second.origin}. {advice}")


def find(kind: Kind, name: str) -> Plugin:
    """Return the plugin of a name; raise UserError with the nearest valid name if it is unknown."""
    known = plugins(kind)
    if name not in known:
        raise UserError(f"There is no {kind[:-1]} '{name}'.{nearest(name, known)} See `bench list {kind}`.")
    return known[name]


def load(kind: Kind, name: str) -> Any:
    """Import and return the plugin of that name."""
    return find(kind, name).load()
