"""`bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.terminal import say

if TYPE_CHECKING:
    from rich.console import Console

    from bench.config import RunConfig


@o.taking({"plugin": o.Plugin, **o.BANK, "threads": o.Threads})
def export(
    setting: Annotated[
        str,
        typer.Argument(
            metavar="SETTING",
            help="DATASET/BACKBONE, e.g. cifar100lt/efficientnet_lite0; or only the dataset, with --backbone.",
            autocompletion=completion.of_runs,
        ),
    ],
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD", help="name or name\\[param=value,…].", autocompletion=completion.names("methods")
        ),
    ],
    budget: Annotated[str, typer.Argument(metavar="BUDGET", help="Fraction of the plain backbone's MACs, e.g. 0.5.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder or NAME.zip to write.", **o.PATH)],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run whose policy is exported.")] = 0,
    results: Annotated[
        Path, typer.Option(help="Store, working or published, whose record the policy is compared with.", **o.PATH)
    ] = Path("runs"),
    store: Annotated[Path | None, typer.Option(hidden=True, help="Older name of --results.", **o.PATH)] = None,
    with_backbone: Annotated[
        bool,
        typer.Option(
            "--with-backbone/--without-backbone",
            help="Also write the backbone's weights, or only their source and digest.",
        ),
    ] = True,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Also write one ONNX file per stage and a runner that needs only onnxruntime."),
    ] = False,
    config: o.Config = None,
    backbone: Annotated[
        str | None,
        o.option(
            help="The backbone, if SETTING is only a dataset.",
            default="that of SETTING",
            autocompletion=completion.names("backbones"),
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write a fitted policy into a folder or a .zip: `bench.load_policy` runs it on raw images or texts.

    The policy is fitted again, as in a run with the same options, and compared
    with the run's record if there is one. policy.json shows its thresholds.
    See docs/export.md.
    """
    from bench.cli.terminal import console as make_console
    from bench.export.setting import split_setting

    o.run_config(config, {"plugin": given.get("plugin")})  # plugin files may define the names in `setting`
    dataset, network = (setting, backbone) if backbone else split_setting(setting)
    given |= {"dataset": [dataset], "methods": [method], "budgets": budget, "seeds": [seed], "output": store or results}
    settings = o.run_config(config, given | ({"backbone": [network]} if network else {}))
    _export(settings, output, make_console(stderr=True), with_backbone=with_backbone, onnx=onnx)


def _export(config: RunConfig, output: Path, console: Console, **how: bool) -> None:
    from bench.cli.progress import building
    from bench.export.request import export_policy

    if len(config.budgets) != 1 or len(config.backbone) > 1:
        from bench.errors import UserError

        raise UserError("`bench export` writes one policy at a time. Give one budget and one backbone.")
    with building(console, f"{config.dataset[0]} → {config.backbone[0]}") as advance:
        told = export_policy(config, output, **how, progress=advance)
    for line in told:
        say(line)
