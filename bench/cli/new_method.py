"""`bench new-method`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new_method(
    name: Annotated[str, typer.Argument(help="What it will be called: small letters, digits, underscores.")],
    to: Annotated[Path, typer.Option(help="Folder that the two files are written to.")] = Path(),
) -> None:
    """Write a new method: a working, commented file of its own, and its test."""
    from bench.plugins.scaffold import write

    method, test = write(name, to)
    print(f"Wrote {method}: a method that works as it is; change its rule to yours.")
    print(f"Wrote {test}: the checks that every method must pass, and one of its rule.\n")
    print("Next:")
    print(f"  bench run --plugin {method} --methods {name},msdnet_thresh --dataset digits --image-size 32")
    print(f"  bench check --plugin {method} {name}")
    print(f"  python -m pytest {test}")
