"""`bench finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options as o
from bench.cli.terminal import say


def finetune(
    dataset: Annotated[
        str, typer.Option(help="One dataset: name\\[param=value], folder:PATH, csv:PATH, hf:NAME_OR_PATH.")
    ],
    backbone: Annotated[
        str, typer.Option(help="The network to start from: a name of `bench list backbones`, or a network's folder.")
    ],
    exits: Annotated[
        str,
        typer.Option(
            help="Heads at the exits: none; joint, trained with the network; frozen, trained on a network that stays "
            "as it is. Where exits sit is a parameter of the backbone: name\\[exits=blocks]."
        ),
    ] = "none",
    epochs: Annotated[int | None, typer.Option(help="Epochs: 10, or 5 for texts.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples of a step: 64, or 32 for texts.")] = None,
    optimiser: Annotated[str, typer.Option("--optimiser", "--optimizer", help="adamw or sgd.")] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Peak rate of the heads: 0.002, or 0.001 for texts.")] = None,
    trunk_rate: Annotated[
        float | None,
        typer.Option(help="The trunk's rate over that of the heads: 0.25, 0.05 for texts, or 1 from random weights."),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Weight decay of matrices and filters: 0.05, or 0.01 for texts.")
    ] = None,
    momentum: Annotated[float, typer.Option(help="Momentum of sgd.")] = 0.9,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the steps in which the rate rises: 0.05, or 0.1 for texts.")
    ] = None,
    smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = 0.1,
    augment: Annotated[
        int | None, typer.Option(help="Magnitude of RandAugment, of 30: 9 for images; 0 leaves it out.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the images, or none. Default: half.")
    ] = None,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights.")] = 0.999,
    exit_weights: Annotated[
        str | None, typer.Option(help="Weights of the exits' losses, comma-separated, the last exit's included.")
    ] = None,
    equilibrium: Annotated[
        bool, typer.Option("--equilibrium", help="Scale gradients where heads leave the trunk (IMTA).")
    ] = False,
    distil: Annotated[float, typer.Option(help="Weight of the distillation of every exit from the last one.")] = 0.0,
    temperature: Annotated[float, typer.Option(help="Temperature of the distillation.")] = 3.0,
    val_share: Annotated[
        float, typer.Option(help="Share of the train split that chooses the epoch and is not trained on.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Start of all random numbers.")] = 0,
    image_size: o.ImageSize = None,
    weights: o.Weights = None,
    data_dir: o.DataDir = None,
    limit: o.Limit = None,
    device: o.Device = None,
    devices: Annotated[
        int | None, typer.Option(help="GPUs, or processes on a CPU, that share every batch. Default: all GPUs.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that prepare batches.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the network. Default: networks/NAME.", **o.PATH)
    ] = None,
) -> None:
    """Train a network for a dataset, on samples that a run never holds out: a folder that --backbone takes.

    An interrupted training continues: run the same command again.
    """
    given = dict(locals())
    from bench.cli.progress import training
    from bench.cli.terminal import console as make_console
    from bench.config import resolve_device
    from bench.finetune import FineTuning, Wanted
    from bench.finetune import finetune as train

    given["exit_weights"] = None if exit_weights is None else _numbers(exit_weights)
    recipe = {name: given[name] for name in FineTuning.__dataclass_fields__ if given[name] is not None}
    wanted = Wanted(dataset, backbone, recipe, image_size, weights, limit, data_dir)
    where = resolve_device(device or "auto")
    with training(make_console(), f"{backbone} on {dataset}") as progress:
        folder = train(wanted, output, device=where, devices=devices, workers=workers, progress=progress)
    from bench.backbones.network import read

    told = read(folder)
    shares = ", ".join(f"{100 * share:.2f}" for share in told["accuracy"])
    say(f"Accuracy on val, % (exits in order, the last one last): {shares}")
    say(f"Network: {folder}")
    say(f"Next: bench run --backbone {folder} --dataset {dataset}")


def _numbers(text: str) -> tuple[float, ...]:
    from bench.errors import UserError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--exit-weights '{text}' is not a list of numbers, such as 1,1,2.") from None
