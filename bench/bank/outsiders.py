"""Third-party code that a bank is made with: datasets and backbones that exitbench does not provide."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.spec import parse

SHOWN = 4  # changes that a message lists


def outsiders(dataset: str, backbone: str) -> dict[str, str]:
    """Return what identifies the code of `dataset NAME` and `backbone NAME`, for those that are third-party.

    It is a digest of the plugin file or of the module of `module:factory`, or a package and its version. Members of a
    cascade are included. No third-party code is imported.
    """
    names = [("dataset", parse(dataset).name), *(("backbone", name) for name in _backbones(backbone))]
    found = {f"{kind} {name}": _code(kind, name) for kind, name in names}
    return {name: code for name, code in found.items() if code is not None}


def _backbones(text: str) -> Iterator[str]:
    """Yield the names in a backbone's text: its own, and those of the members of a cascade."""
    from bench.backbones.builder import spec_of

    spec = spec_of(text)
    known = spec.name in registry.plugins("backbones")
    yield spec.name if known or spec.argument is None else f"{spec.name}:{spec.argument}"
    if known and spec.name == "cascade" and spec.argument:
        from bench.backbones.cascade import parts_of

        for member, _ in parts_of(spec.argument):
            yield from _backbones(member)


def _code(kind: str, name: str) -> str | None:
    """Return what identifies the code of a third-party dataset or backbone; None if exitbench provides it."""
    known = registry.plugins("datasets" if kind == "dataset" else "backbones").get(name)
    if known is not None:
        return None if known.own else known.made_by
    module, colon, _ = name.partition(":")
    if not colon:
        return None  # it does not exist; opening it raises the error
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return "module"
    return f"module {hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}"


@contextmanager
def guarded(made_with: Mapping[str, str]) -> Iterator[None]:
    """Run third-party code in the block, then restore the state that all code in this process shares.

    Raises UserError listing what was changed. Without third-party code nothing is checked.
    """
    if not made_with:
        yield
        return
    from bench.system.surroundings import Surroundings

    before, changed = Surroundings(code=True), list[str]()
    try:
        yield
    finally:
        changed = before.restore()
    if changed:
        whose = " or ".join(f"{kind} '{name}'" for kind, _, name in (key.partition(" ") for key in made_with))
        raise UserError(
            f"The {whose} changed state that all code in this process shares: {'; '.join(changed[:SHOWN])}. It was "
            "restored. Change the plugin so that it leaves such settings and functions unchanged."
        )
