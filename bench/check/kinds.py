"""Find the kind of plugin that a name given to `bench check` belongs to, and the checks of that kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, nearest

if TYPE_CHECKING:
    from bench.check.examine import Examination
    from bench.check.result import Check
    from bench.plugins.registry import Kind

WORDS: dict[str, Kind] = {"method": "methods", "head": "heads", "dataset": "datasets", "backbone": "backbones"}


def kind_of(name: str) -> Kind:
    """Return the kind of a name: the first of methods, heads, datasets and backbones that has it.

    A network's folder and `module:factory` are backbones. Raises UserError for an unknown name.
    """
    from bench.plugins import registry
    from bench.plugins.spec import parse

    spec = parse(name)
    for kind in registry.KINDS:
        if spec.name in registry.plugins(kind):
            return kind
    from bench.backbones.builder import spec_of

    if spec.argument is not None or spec_of(name).argument is not None:
        return "backbones"
    known = {n for kind in registry.KINDS for n in registry.plugins(kind)}
    raise UserError(
        f"There is no method, head, dataset or backbone '{spec.name}'.{nearest(spec.name, known)} See `bench list`."
    )


def checks(kind: Kind) -> tuple[Check, ...]:
    """Return all checks of a kind in the order in which they are shown."""
    if kind == "methods":
        from bench.check import examine as found
    elif kind == "heads":
        from bench.check import recipe as found  # type: ignore[no-redef]
    elif kind == "datasets":
        from bench.check import data as found  # type: ignore[no-redef]
    else:
        from bench.check import network as found  # type: ignore[no-redef]
    return found.checks()


def examination(kind: Kind, subject: Any, data_dir: Path | None = None) -> Examination:
    """Return the examination of a name (of a method or a head recipe: or its class); UserError for a wrong name."""
    if kind == "methods":
        from bench.check.examine import examination as method

        return method(subject)
    if kind == "heads":
        from bench.check.recipe import examination as recipe

        return recipe(subject)
    if kind == "datasets":
        from bench.check.data import examination as dataset

        return dataset(subject, data_dir=data_dir)
    from bench.check.network import examination as network

    return network(subject)
