"""What identifies the computation behind a record: versions that authors raise, and digests of code without one."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bench.method import Method
from bench.plugins import registry
from bench.plugins.params import configure
from bench.plugins.spec import parse
from bench.trials import references
from bench.trials.code import code_digest


class Identity(NamedTuple):
    """The fields of a `Point` that say which code makes it."""

    version: int | None
    heads: dict[str, int | str]
    code: str

    @property
    def text(self) -> str:
        """Return what identifies the code in an id, in one line."""
        return json.dumps([self.version or self.code.partition("-")[0], self.heads], sort_keys=True)


def method_identity(method: Method) -> Identity:
    """Return the identity of a configured method, with the head recipe that its parameter `heads` names."""
    return _identity(stated_version(type(method)), code_digest(type(method)), getattr(method.config, "heads", None))


def reference_identity(name: str) -> Identity:
    """Return the identity of a reference, which uses the plain heads."""
    return _identity(references.VERSIONS[name], code_digest(references.MADE_BY[name]), "plain")


def _identity(version: int | None, code: str, heads: Any) -> Identity:
    recipes = recipes_in(heads) if isinstance(heads, str) else {}
    return Identity(
        version,
        {text: stated_version(cls) or code_digest(cls) for text, cls in recipes.items()},
        "-".join([code, *(code_digest(cls) for cls in recipes.values())]),
    )


def recipes_in(text: str) -> dict[str, type]:
    """Return the class of a head recipe by its text, then the class of the recipe that it is based on, and so on."""
    spec = parse(text)
    cls = registry.load("heads", spec.name)
    base = getattr(configure(cls.Config, spec), "base", None)
    return {text: cls, **(recipes_in(base) if isinstance(base, str) else {})}


def stated_version(cls: type) -> int | None:
    """Return the version of a method or head recipe; None if its author states none.

    The default of `Method` and `Recipe` counts for the classes of exitbench alone. Any other class has a version only
    if itself or a base class from its own package states one, so that editing an unversioned plugin changes its ids.
    """
    package = cls.__module__.partition(".")[0]
    for base in cls.__mro__:
        if "version" in vars(base) and base.__module__.partition(".")[0] == package:
            return vars(base)["version"]
    return None
