"""The options that several commands share, and how a config file and the command line become one RunConfig."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from bench.cli.completion import names
from bench.errors import UserError
from bench.system.paths import user_path

if TYPE_CHECKING:
    from bench.config import RunConfig


def path(text: str | Path) -> Path:
    """Return a path of the command line, `~` and `$VAR` expanded."""
    try:
        return user_path(text)
    except UserError as error:
        raise typer.BadParameter(str(error)) from None


PATH: dict[str, Any] = {"parser": path, "metavar": "PATH"}
Config = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", help="YAML file of settings; keys are the names of these options, and options win.", **PATH
    ),
]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        help="Python files with methods, heads, datasets or backbones (`bench new`); repeatable or comma-separated."
    ),
]
Suite = Annotated[
    str | None,
    typer.Option(help="Run the settings of a suite, one after the other, as it fixes them. See `bench list suites`."),
]
Settings = Annotated[
    str | None, typer.Option(help="Settings of the suite, comma-separated: dataset or dataset/backbone. Default: all.")
]
Methods = Annotated[
    str | None,
    typer.Option(
        help="Methods, comma-separated: name or name\\[param=value,…], or all. See `bench list methods`.",
        autocompletion=names("methods", "all"),
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Datasets, comma-separated: name\\[param=value], folder:PATH, hf:NAME_OR_PATH.",
        autocompletion=names("datasets"),
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="Frozen backbones, comma-separated: see `bench list backbones`; your own: module:factory.",
        autocompletion=names("backbones"),
    ),
]
Bank = Annotated[
    list[str] | None,
    typer.Option(help="Folders of banks that are there already, in place of dataset and backbone (`bench import`)."),
]
Budgets = Annotated[
    str | None,
    typer.Option(
        help="Cost budgets, comma-separated fractions of the plain backbone's MACs, or auto: 12 geometric ones per "
        "bank, from just above its first exit to 1."
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(help="Seeds, such as 0-2,7: initialisation, batch order, and which held-out half is val."),
]
Exits = Annotated[
    str | None, typer.Option(help="Where exits sit: stages, blocks, every=N, or a list of block numbers.")
]
ImageSize = Annotated[int | None, typer.Option(help="Side in pixels that images are resized to.")]
Weights = Annotated[
    str | None, typer.Option(help="Backbone weights: a path, or 'random'. Default: the pretrained ones.")
]
Views = Annotated[int | None, typer.Option(help="Augmented views of the train split to store beside the clean one.")]
Dtype = Annotated[str | None, typer.Option(help="Storage of features: float16 or float32.")]
Precision = Annotated[
    str | None,
    typer.Option(
        help="What the backbone computes in: float32 or bfloat16 (faster on a GPU). Each has banks of its own."
    ),
]
ChannelsLast = Annotated[
    bool | None,
    typer.Option(
        "--channels-last/--contiguous",
        help="How images are laid out in memory (the first is faster on a GPU). Each has banks of its own.",
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder to search for datasets and weights before $BENCH_DATA.", **PATH)
]
BankDir = Annotated[
    Path | None, typer.Option(help="Folder of feature banks. Default: the user's cache folder.", **PATH)
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Working store, one JSON per operating point.", **PATH)
]
Reports = Annotated[
    Path | None, typer.Option(help="Folder for the report; report/ in the working store if left out.", **PATH)
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:0, ….")]
Threads = Annotated[int | None, typer.Option(help="CPU threads that a trial computes with.")]
Limit = Annotated[int | None, typer.Option(help="Use at most N images per split: a smoke run, marked not comparable.")]
Rerun = Annotated[
    str | None,
    typer.Option(
        help="What to run: missing (default), or also failed, changed (made by other code of the same version), or all."
    ),
]

Tuned = Annotated[
    bool | None,
    typer.Option("--tuned/--defaults", help="Use what `bench tune` kept in tuned/ of the working store."),
]
Report = Annotated[bool | None, typer.Option("--report/--no-report", help="Write the report at the end.")]
VerifyExecuted = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Execute the policies of the first seed on N test images, really stopping early, and store in their "
        "records how well that agrees with the simulation.",
    ),
]

Executor = Annotated[
    str | None,
    typer.Option(help="serial, ray, or auto: ray for several jobs, several GPUs or a --ray-address, else serial."),
]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", help="Trials at once. Default under ray: as many as there is room for.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="A Ray cluster that is running: auto, HOST:PORT or ray://HOST:PORT.")
]
GpusPerTrial = Annotated[
    float | None, typer.Option(help="Share of a GPU that a trial takes under ray; 0.25 lets four trials share one.")
]
Timeout = Annotated[float | None, typer.Option(help="Seconds for one attempt at a trial. Default: no limit.")]
Retries = Annotated[int | None, typer.Option(help="How often a failed trial is repeated. Default: once.")]
Memory = Annotated[float | None, typer.Option(help="GiB that a trial may allocate. Default: no limit.")]


BANK: dict[str, Any] = {
    "exits": Exits,
    "image_size": ImageSize,
    "weights": Weights,
    "views": Views,
    "dtype": Dtype,
    "precision": Precision,
    "channels_last": ChannelsLast,
    "data_dir": DataDir,
    "bank_dir": BankDir,
    "device": Device,
    "limit": Limit,
}  # what decides a bank beside dataset and backbone, and where it is built
F = TypeVar("F", bound=Callable[..., None])


def taking(options: Mapping[str, Any]) -> Callable[[F], F]:
    """Let a command take such options, by name, in place of its `**given`; those left out are None."""

    def decorate(command: F) -> F:
        hints = get_type_hints(command, include_extras=True) | dict(options)
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in options]
        command.__annotations__ = hints
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(annotation=hints[p.name]) for p in (*own, *more)]
        )
        return command

    return decorate


def suite_of(given: dict[str, Any]) -> tuple[str, str | None] | None:
    """Take the suite and the choice of its settings out of the given options; None if no suite is given.

    Raises UserError for a choice of settings without a suite.
    """
    suite, settings = given.pop("suite"), given.pop("settings")
    if suite is None and settings is not None:
        raise UserError("--settings chooses settings of a suite. Add --suite, or name --dataset and --backbone.")
    return None if suite is None else (suite, settings)


def run_config(config: Path | None, given: dict[str, Any]) -> RunConfig:
    """Merge defaults, the config file and the given options, the last winning, and load the plugin files they name.

    Raises UserError for anything invalid.
    """
    from bench import config as settings

    values = settings.read_yaml(config) if config else {}
    merged = settings.build(values, f"The config file '{config}'").model_dump(exclude_unset=True) if values else {}
    merged |= {name: value for name, value in given.items() if value is not None and value != []}
    result = settings.build(merged, "The command line")
    if result.plugin:
        from bench.plugins.files import load_files

        load_files(result.plugin)
    return result
