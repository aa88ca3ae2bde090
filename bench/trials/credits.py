"""Third-party code in the provenance of a record."""

from __future__ import annotations

from collections.abc import Mapping

from bench.plugins import registry
from bench.plugins.spec import parse
from bench.trials.record import Point, Record

PLUGINS = "plugins"


def credited(record: Record, banks: Mapping[str, Mapping[str, str]]) -> Record:
    """Return a record whose provenance names the third-party plugins that made it, if there are any.

    These are its method, head recipes, dataset and backbone, each with a digest of its file, or its package and
    version. banks: those of datasets and backbones, by the bank's digest.
    """
    named = {**banks.get(record.cell.bank_digest, {}), **_of_point(record.point)}
    if not named:
        return record
    return record.model_copy(update={"provenance": {**record.provenance, PLUGINS: dict(sorted(named.items()))}})


def _of_point(point: Point) -> dict[str, str]:
    """Return the third-party plugins among a point's method and head recipes."""
    if point.kind == "reference":
        return {}
    asked: list[tuple[registry.Kind, str]] = [("methods", point.method)]
    asked += [("heads", parse(recipe).name) for recipe in point.heads]
    found = {f"{kind[:-1]} {name}": registry.plugins(kind).get(name) for kind, name in asked}
    return {name: plugin.made_by for name, plugin in found.items() if plugin is not None and not plugin.own}
