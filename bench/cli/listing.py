"""`bench list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.terminal import say, say_json

if TYPE_CHECKING:
    from bench.plugins.registry import Kind, Plugin


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="methods, heads, datasets or backbones (all four if left out), or suites.",
            autocompletion=completion.words("methods", "heads", "datasets", "backbones", "suites"),
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print the description and parameters of this one; a backbone may be module:factory.",
            autocompletion=completion.of_kind,
        ),
    ] = None,
    plugin: o.Plugin = None,
    json_output: o.Json = False,
) -> None:
    """List available methods, heads, datasets and backbones, built-in or from plugins.

    With a kind and a name, print its description and its parameters with defaults and ranges.
    """
    from bench.errors import UserError, nearest
    from bench.plugins import registry

    if kind == "suites":
        from bench.cli.suite import listed

        listed(name, json_output)
        return
    if kind is not None and kind not in registry.KINDS:
        raise UserError(f"'{kind}' is not a kind that can be listed.{nearest(kind, (*registry.KINDS, 'suites'))}")
    if plugin:
        o.run_config(None, {"plugin": plugin})
    kinds = registry.KINDS if kind is None else (kind,)
    if kind and name:
        _detail(kind, name, json_output)
    elif json_output:
        say_json([_row(k, p) for k in kinds for p in registry.plugins(k).values()])
    else:
        for k in kinds:
            _table(k, list(registry.plugins(k).values()))


def _table(kind: str, found: list[Plugin]) -> None:
    say(f"{kind}:")
    width = max((len(p.name) for p in found), default=0)
    for p in found:
        summary, broken = p.describe()
        basis = f"  [{p.basis()}]" if p.basis() else ""
        origin = "" if p.distribution == "exitbench" else f"  ({p.distribution})"
        say(f"  {p.name:<{width}}  {f'(broken: {broken})' if broken else summary}{basis}{origin}")


def _row(kind: str, p: Plugin) -> dict[str, Any]:
    summary, broken = p.describe()
    row = {"kind": kind, "name": p.name, "summary": summary, "from": p.distribution, "broken": broken}
    return row | {"basis": p.basis()} if kind == "methods" else row


def _detail(kind: Kind, name: str, json_output: bool) -> None:
    import inspect

    from bench.cli.detail import fidelity, find, parameters

    loaded, origin = find(kind, name)
    about = inspect.getdoc(loaded) or ""
    rows = parameters(loaded)
    config = inspect.getdoc(loaded.Config) if rows and hasattr(loaded, "Config") else None
    if json_output:
        shown: dict[str, Any] = {"kind": kind, "name": name, "description": about, "from": origin, "parameters": rows}
        shown["parameters_described"] = config
        say_json(shown | ({"fidelity": fidelity(loaded)} if kind == "methods" else {}))
        return
    say(f"{name} ({origin})\n\n{about or 'It has no docstring.'}\n")
    if source := fidelity(loaded):
        say(f"Source: {source['citation']}\nFamily: {source['family']}")
        say(f"Implementation: {source['basis']}: {source['detail']}\n")
    say(f"Parameters: {config}" if config else "Parameters:" if rows else "No parameters.")
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        notes = [row["type"], f"default {row['default']}"]
        notes += [f"{word} {row[word]}" for word in ("allowed", "searched") if row[word]]
        say(f"  {row['name']:<{width}}  {', '.join(notes)}")
