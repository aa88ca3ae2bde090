"""The function behind a backbone's name: a registered one, or `module:factory` on the Python path."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from bench.plugins import registry
from bench.plugins.spec import Spec, parse

_only_registered: ContextVar[bool] = ContextVar("only_registered", default=False)


@dataclass(frozen=True)
class Builder:
    """A function that returns a StagedBackbone, and the keyword parameters that it takes, by annotation."""

    spec: Spec
    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    takes_any: bool  # it has `**options` without a list of names
    foreign: bool  # not part of exitbench
    imported: bool  # by `module:factory`, not registered

    def takes(self, keyword: str) -> bool:
        """Return whether the function can be called with a keyword."""
        return self.takes_any or keyword in self.parameters


def find(name: str | Spec) -> Builder:
    """Return the builder of `name`, `name[param=value,…]`, `family:argument`, a network's folder or `module:factory`.

    A registered name wins over a folder or a module of that name. Raises UserError if it is none of these.
    """
    spec = spec_of(name)
    if spec.argument is None or spec.name in registry.plugins("backbones") or _only_registered.get():
        plugin = registry.find("backbones", spec.name)
        function = plugin.load()
        return Builder(spec, function, *keywords(function), not plugin.own, False)
    from bench.backbones.imported import import_factory

    function = import_factory(spec.name, spec.argument)
    return Builder(spec, function, *keywords(function), True, True)


def spec_of(name: str | Spec) -> Spec:
    """Return the spec of a backbone's name; for a network's folder, `network:FOLDER`."""
    return name if isinstance(name, Spec) else _folder(name) or parse(name)


@contextmanager
def only_registered() -> Iterator[None]:
    """Refuse `module:factory` in the block: the content of a file must not make code be imported."""
    token = _only_registered.set(True)
    try:
        yield
    finally:
        _only_registered.reset(token)


def _folder(name: str) -> Spec | None:
    """Return the spec of the network in a folder; None if the name is not such a folder."""
    from bench.backbones.network import is_network

    known = name in registry.plugins("backbones")
    return Spec("network", argument=name) if not known and is_network(name) else None


def keywords(function: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Return the keyword parameters of a function (`Unpack[…]` expanded), and whether it accepts any others.

    A missing annotation is taken from the type of the default.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # an annotation that only a type checker can read, or a built-in that has no signature
        with contextlib.suppress(ValueError):
            return _read(inspect.signature(function))
        return {}, True
    return _read(signature)


def _read(signature: inspect.Signature) -> tuple[dict[str, Any], bool]:
    found: dict[str, Any] = {}
    takes_any = False
    for key, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            if get_origin(parameter.annotation) is Unpack:
                found.update(get_type_hints(get_args(parameter.annotation)[0]))
            else:
                takes_any = True
        elif parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            unclear = parameter.annotation is parameter.empty or isinstance(parameter.annotation, str)
            found[key] = _kind(parameter.default) if unclear else parameter.annotation
    return found, takes_any


def _kind(default: Any) -> Any:
    return str if default is None or default is inspect.Parameter.empty else type(default)
