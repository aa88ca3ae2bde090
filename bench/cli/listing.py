"""`bench list`."""

from __future__ import annotations

from typing import Annotated

import typer


def list_names(
    kind: Annotated[
        str | None, typer.Argument(help="methods, heads, datasets or backbones; all of them by default.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """List what can be named: methods, heads, datasets and backbones, built-in or from plugins."""
    from bench import registry
    from bench.errors import UserError, nearest

    if kind is not None and kind not in registry.KINDS:
        raise UserError(f"There is nothing called '{kind}' to list.{nearest(kind, registry.KINDS)}")
    kinds = registry.KINDS if kind is None else (kind,)
    found = {k: list(registry.plugins(k).values()) for k in kinds}
    if json_output:
        import json

        rows = [
            {"kind": k, "name": p.name, "summary": p.summary, "from": p.distribution} for k in kinds for p in found[k]
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for k in kinds:
        print(f"{k}:")
        width = max((len(p.name) for p in found[k]), default=0)
        for p in found[k]:
            origin = "" if p.distribution == "exitbench" else f"  ({p.distribution})"
            print(f"  {p.name:<{width}}  {p.summary}{origin}")
