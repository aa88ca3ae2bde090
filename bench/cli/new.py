"""`bench new`, and `bench new-method`, its older form for methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion
from bench.cli.options import PATH
from bench.cli.terminal import say

if TYPE_CHECKING:
    from bench.plugins.registry import Kind

Name = Annotated[str, typer.Argument(help="Name of the plugin: lower-case letters, digits and underscores.")]
To = Annotated[Path, typer.Option(help="Folder for the two files.", **PATH)]
WHAT = {"head": "head recipe"}
WORKS = {
    "methods": "a working method; replace its rule with your own",
    "heads": "a working head recipe; replace its training with your own",
    "datasets": "a working dataset; replace its synthetic images with your own",
    "backbones": "a working backbone; replace its network with your own",
}
RUN = {
    "methods": "--methods {0},msdnet_thresh --dataset digits --image-size 32",
    "heads": "--methods 'msdnet_thresh[heads={0}],msdnet_thresh' --dataset digits --image-size 32",
    "datasets": "--dataset {0} --methods msdnet_thresh",
    "backbones": "--backbone {0} --dataset digits --methods msdnet_thresh",
}


def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="method, head, dataset or backbone.",
            autocompletion=completion.words("method", "head", "dataset", "backbone"),
        ),
    ],
    name: Name,
    to: To = Path(),
) -> None:
    """Write a working, commented method, head recipe, dataset or backbone, and its test."""
    from bench.check.kinds import WORDS
    from bench.errors import UserError, nearest

    if kind not in WORDS:
        raise UserError(f"'{kind}' is not a kind of plugin.{nearest(kind, WORDS)}")
    _write(WORDS[kind], name, to)


def new_method(name: Name, to: To = Path()) -> None:
    """Write a working, commented method and its test (the same as `bench new method NAME`)."""
    _write("methods", name, to)


def _write(kind: Kind, name: str, to: Path) -> None:
    from bench.plugins.scaffold import write

    file, test = write(name, to, kind)
    word = kind[:-1]
    say(f"Wrote {file}: {WORKS[kind]}.")
    say(f"Wrote {test}: the checks that every {WHAT.get(word, word)} must pass, and tests of its own.\n")
    say("Next:")
    say(f"  bench run --plugin {file} {RUN[kind].format(name)}")
    say(f"  bench check --plugin {file} {name}")
    say(f"  python -m pytest {test}")
