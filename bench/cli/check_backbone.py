"""`bench check-backbone`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.guard import FAILED


def check_backbone(
    backbone: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="module:factory, or a name from `bench list backbones`; parameters in \\[].",
            autocompletion=completion.names("backbones"),
        ),
    ],
    image_size: Annotated[
        int | None,
        o.option(help="Side of the images in pixels.", default="the backbone's own", min=1),
    ] = None,
    num_classes: Annotated[
        int | None, o.option(help="Number of classes of the head.", default="the backbone's own", min=1)
    ] = None,
    plugin: o.Plugin = None,
    json_output: o.Json = False,
) -> None:
    """Check a backbone as `bench check` does, with an image size and a number of classes of your choice.

    Checks frozen weights, determinism, batches, shapes, costs and early stopping
    on a few random images, and that the stages together compute the same as the
    network's own forward pass. Exit code: 0 if all checks pass, 1 if one fails,
    2 for an invalid command.
    """
    from bench.cli.check import conforms, show
    from bench.cli.terminal import console as make_console
    from bench.cli.terminal import plain, say_json

    console = make_console(stderr=json_output)
    with console.status(plain(f"Checking {backbone} …")):
        import dataclasses

        from bench.check.network import examination

        o.run_config(None, {"plugin": plugin})
        results = examination(backbone, num_classes=num_classes, image_size=image_size).results()
    if json_output:
        rows = [dataclasses.asdict(result) for result in results]
        say_json({"backbone": backbone, "conforms": conforms(results), "checks": rows})
    else:
        show(console, backbone, results, everything=True)
    if not conforms(results):
        raise typer.Exit(FAILED)
