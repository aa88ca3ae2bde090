"""`bench finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from bench.cli import options as o
from bench.cli.completion import names, words
from bench.cli.terminal import say

NETWORK, TRAINING, EXITS = "What to train", "Training", "Exits"  # panels of --help


def finetune(
    dataset: Annotated[
        str,
        o.option(
            help="One dataset: name\\[param=value], folder:PATH, csv:PATH, hf:NAME_OR_PATH.",
            panel=NETWORK,
            autocompletion=names("datasets"),
        ),
    ],
    backbone: Annotated[
        str,
        o.option(
            help="The network to start from: a name from `bench list backbones`, or the folder of a trained network.",
            panel=NETWORK,
            autocompletion=names("backbones"),
        ),
    ],
    plugin: Annotated[
        list[str] | None,
        o.option(
            help="Python files that define the dataset or the backbone (`bench new`); repeatable or comma-separated.",
            panel=NETWORK,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        o.option(
            help="Weights to start from: a path, or 'random'.",
            panel=NETWORK,
            default="pretrained",
            autocompletion=words("random"),
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        o.option(help="Side in pixels that images are resized to.", panel=NETWORK, default="the backbone's own"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        o.option(
            help="Folder to search for datasets and weights before $BENCH_DATA.",
            panel=NETWORK,
            default="$BENCH_DATA",
            **o.PATH,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        o.option(help="Use at most N samples per split: a smoke run.", panel=NETWORK, default="all", metavar="N"),
    ] = None,
    output: Annotated[
        Path | None,
        o.option(*("-o", "--output"), help="Folder to write.", panel=NETWORK, default="networks/NAME", **o.PATH),
    ] = None,
    exits: Annotated[
        str,
        o.chosen(
            help="Heads at the exits: none; joint (trained together with the network); frozen (trained while the "
            "network stays fixed). A parameter of the backbone sets their positions: name\\[exits=blocks].",
            valid=("none", "joint", "frozen"),
            panel=EXITS,
        ),
    ] = "none",
    exit_weights: Annotated[
        str | None,
        o.option(
            help="Weight of each exit's loss, comma-separated, including the last exit.",
            panel=EXITS,
            default="1 for each",
        ),
    ] = None,
    equilibrium: Annotated[
        bool, o.option("--equilibrium", help="Rescale gradients where heads branch off (IMTA).", panel=EXITS)
    ] = False,
    distil: Annotated[
        float, o.option(help="Weight of the loss that distils the last exit into the others.", panel=EXITS)
    ] = 0.0,
    temperature: Annotated[float, o.option(help="Temperature of the distillation.", panel=EXITS)] = 3.0,
    epochs: Annotated[
        int | None, o.option(help="Passes over the training samples.", panel=TRAINING, default="10, or 5 for texts")
    ] = None,
    batch_size: Annotated[
        int | None, o.option(help="Samples per step.", panel=TRAINING, default="64, or 32 for texts")
    ] = None,
    optimiser: Annotated[
        str,
        o.chosen(*("--optimiser", "--optimizer"), help="Optimiser.", valid=("adamw", "sgd"), panel=TRAINING),
    ] = "adamw",
    lr: Annotated[
        float | None,
        o.option(help="Peak learning rate of the heads.", panel=TRAINING, default="0.002, or 0.001 for texts"),
    ] = None,
    trunk_rate: Annotated[
        float | None,
        o.option(
            help="Learning rate of the trunk, as a multiple of that of the heads.",
            panel=TRAINING,
            default="0.25, 0.05 for texts, or 1 from random weights",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        o.option(help="Weight decay of matrices and filters.", panel=TRAINING, default="0.05, or 0.01 for texts"),
    ] = None,
    momentum: Annotated[float, o.option(help="Momentum of sgd.", panel=TRAINING)] = 0.9,
    warmup: Annotated[
        float | None,
        o.option(
            help="Share of steps in which the learning rate rises.", panel=TRAINING, default="0.05, or 0.1 for texts"
        ),
    ] = None,
    smoothing: Annotated[float, o.option(help="Label smoothing.", panel=TRAINING)] = 0.1,
    augment: Annotated[
        int | None,
        o.option(help="Magnitude of RandAugment, up to 30; 0: off.", panel=TRAINING, default="9 for images"),
    ] = None,
    flip: Annotated[
        bool | None,
        o.option("--flip/--no-flip", help="Mirror a random half of images.", panel=TRAINING, default="flip for images"),
    ] = None,
    ema: Annotated[float, o.option(help="Decay of the averaged weights.", panel=TRAINING)] = 0.999,
    val_share: Annotated[
        float,
        o.option(help="Share of the train split that is held out to choose the best epoch.", panel=TRAINING),
    ] = 0.1,
    seed: Annotated[int, o.option(help="Seed of all random numbers.", panel=TRAINING)] = 0,
    device: o.Device = None,
    devices: Annotated[
        int | None,
        o.option(
            help="GPUs, or processes on a CPU, that share each batch.", panel=o.WORK, default="all GPUs, or 1 process"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        o.option(
            help="Processes that prepare batches.", panel=o.WORK, default="CPUs minus one, at most 8; 0 for texts"
        ),
    ] = None,
) -> None:
    """Train a network on a dataset and write a folder that `bench run --backbone` accepts.

    It trains only on samples that no run holds out. To continue an interrupted
    training, run the same command again.
    """
    given = dict(locals())
    from bench.cli.progress import training
    from bench.cli.terminal import console as make_console
    from bench.config import resolve_device
    from bench.finetune import FineTuning, Wanted
    from bench.finetune import finetune as train

    given["exit_weights"] = None if exit_weights is None else _numbers(exit_weights)
    recipe = {name: given[name] for name in FineTuning.__dataclass_fields__ if given[name] is not None}
    files = o.run_config(None, {"plugin": plugin}).plugin
    wanted = Wanted(dataset, backbone, recipe, image_size, weights, limit, data_dir, files)
    where = resolve_device(device or "auto")
    with training(make_console(), f"{backbone} on {dataset}") as progress:
        folder = train(wanted, output, device=where, devices=devices, workers=workers, progress=progress)
    from bench.backbones.network import read

    told = read(folder)
    shares = ", ".join(f"{100 * share:.2f}" for share in told["accuracy"])
    say(f"Accuracy on val, % (exits in order): {shares}")
    say(f"Network: {folder}")
    given_files = f" --plugin {','.join(plugin)}" if plugin else ""
    say(f"Next: bench run --backbone {folder} --dataset {dataset}{given_files}")


def _numbers(text: str) -> tuple[float, ...]:
    from bench.errors import UserError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--exit-weights '{text}' is not a list of numbers, such as 1,1,2.") from None
