"""`bench new-method`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import PATH
from bench.cli.terminal import say


def new_method(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits, underscores.")],
    to: Annotated[Path, typer.Option(help="Folder for the two files.", **PATH)] = Path(),
) -> None:
    """Write a new method, a working and commented file, and its test."""
    from bench.plugins.scaffold import write

    method, test = write(name, to)
    say(f"Wrote {method}: a method that works as it is; replace its rule by your own.")
    say(f"Wrote {test}: the checks that every method must pass, and tests of its rule.\n")
    say("Next:")
    say(f"  bench run --plugin {method} --methods {name},msdnet_thresh --dataset digits --image-size 32")
    say(f"  bench check --plugin {method} {name}")
    say(f"  python -m pytest {test}")
