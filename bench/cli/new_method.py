"""`bench new-method`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import PATH


def new_method(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits, underscores.")],
    to: Annotated[Path, typer.Option(help="Folder for the two files.", **PATH)] = Path(),
) -> None:
    """Write a new method, a working and commented file, and its test."""
    from bench.plugins.scaffold import write

    method, test = write(name, to)
    print(f"Wrote {method}: a method that works as it is; replace its rule by your own.")
    print(f"Wrote {test}: the checks that every method must pass, and tests of its rule.\n")
    print("Next:")
    print(f"  bench run --plugin {method} --methods {name},msdnet_thresh --dataset digits --image-size 32")
    print(f"  bench check --plugin {method} {name}")
    print(f"  python -m pytest {test}")
