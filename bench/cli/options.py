"""The options that several commands share, and how a config file and the command line become one RunConfig."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from bench.cli.completion import names, suites, words
from bench.errors import UserError
from bench.system.paths import user_path

if TYPE_CHECKING:
    from bench.config import RunConfig


def path(text: str | Path) -> Path:
    """Return a path from the command line with `~` and `$VAR` expanded."""
    try:
        return user_path(text)
    except UserError as error:
        raise typer.BadParameter(str(error)) from None


PATH: dict[str, Any] = {"parser": path, "metavar": "PATH"}
WHAT, DATA, WORK, OUT = "What to compare", "Feature bank", "Execution", "Records and report"  # panels of --help


def option(*names: str, help: str, panel: str | None = None, default: str | None = None, **more: Any) -> Any:
    """Return an option. default: the default that --help shows if the Python value is None."""
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=default or True, **more)


def chosen(*names: str, help: str, valid: tuple[str, ...], **more: Any) -> Any:
    """Return an option with a few valid values, which the shell completes."""
    return option(*names, help=help, autocompletion=words(*valid), metavar="|".join(valid), **more)


Json = Annotated[bool, option("--json", help="Print the result as JSON; all other output goes to standard error.")]
DryRun = Annotated[bool, option("-n", "--dry-run", help="Print the plan and stop, as `bench plan` does.")]
Config = Annotated[
    Path | None,
    option(
        *("-c", "--config"),
        help="YAML file whose keys are the names of these options; options on the command line take precedence.",
        panel=WHAT,
        **PATH,
    ),
]
Plugin = Annotated[
    list[str] | None,
    option(
        help="Python files with methods, heads, datasets or backbones (`bench new`); repeatable or comma-separated.",
        panel=WHAT,
    ),
]
Suite = Annotated[
    str | None,
    option(
        help="Run the settings of a suite one after the other, with its fixed options. See `bench list suites`.",
        panel=WHAT,
        autocompletion=suites,
    ),
]
Settings = Annotated[
    str | None,
    option(help="Settings of the suite, comma-separated: dataset or dataset/backbone.", panel=WHAT, default="all"),
]
Methods = Annotated[
    str | None,
    option(
        help="Methods, comma-separated: name or name\\[param=value,…], or all. See `bench list methods`.",
        panel=WHAT,
        default="jeidnn,msdnet_thresh,entropy_thresh",
        autocompletion=names("methods", "all"),
    ),
]
Dataset = Annotated[
    str | None,
    option(
        help="Datasets, comma-separated: name\\[param=value], folder:PATH, csv:PATH, hf:NAME_OR_PATH.",
        panel=WHAT,
        default="mnist5k",
        autocompletion=names("datasets"),
    ),
]
Backbone = Annotated[
    str | None,
    option(
        help="Frozen backbones, comma-separated: names from `bench list backbones`, or module:factory for your own.",
        panel=WHAT,
        default="efficientnet_lite0",
        autocompletion=names("backbones"),
    ),
]
Bank = Annotated[
    list[str] | None,
    option(
        help="Folders of existing banks, instead of a dataset and a backbone. `bench import` makes one.", panel=WHAT
    ),
]
Budgets = Annotated[
    str | None,
    option(
        help="Cost budgets, comma-separated fractions of the plain backbone's MACs; or auto: 12 per bank, spaced "
        "geometrically from just above the cost of its first exit to 1.",
        panel=WHAT,
        default="0.3,0.4,0.5,0.6,0.7,0.8,0.9,1",
        autocompletion=words("auto"),
    ),
]
Seeds = Annotated[
    str | None,
    option(
        help="Seeds, such as 0-2,7. A seed sets initialisation, batch order, and which samples are val and cal.",
        panel=WHAT,
        default="0,1,2",
    ),
]
Exits = Annotated[
    str | None,
    option(
        help="Positions of the exits: stages, blocks, every=N, or a list of block numbers.",
        panel=DATA,
        default="the backbone's own",
        autocompletion=words("stages", "blocks", "every="),
    ),
]
ImageSize = Annotated[
    int | None,
    option(help="Side in pixels that images are resized to.", panel=DATA, default="the backbone's own"),
]
Weights = Annotated[
    str | None,
    option(
        help="Backbone weights: a path, or 'random'.",
        panel=DATA,
        default="pretrained",
        autocompletion=words("random"),
    ),
]
Views = Annotated[
    int | None,
    option(help="Augmented views of the train split to store in addition to the clean one.", panel=DATA, default="0"),
]
Dtype = Annotated[
    str | None,
    chosen(help="Number format of stored features.", valid=("float16", "float32"), panel=DATA, default="float16"),
]
Precision = Annotated[
    str | None,
    chosen(
        help="Number format of the backbone's computation; bfloat16 is faster on a GPU. Each has its own banks.",
        valid=("float32", "bfloat16"),
        panel=DATA,
        default="float32",
    ),
]
ChannelsLast = Annotated[
    bool | None,
    option(
        "--channels-last/--contiguous",
        help="Memory layout of images; channels-last is faster on a GPU. Each has its own banks.",
        panel=DATA,
        default="contiguous",
    ),
]
DataDir = Annotated[
    Path | None,
    option(
        help="Folder to search for datasets and weights before $BENCH_DATA.", panel=DATA, default="$BENCH_DATA", **PATH
    ),
]
BankDir = Annotated[
    Path | None, option(help="Folder of feature banks.", panel=DATA, default="the user's cache folder", **PATH)
]
Limit = Annotated[
    int | None,
    option(
        help="Use at most N samples per split: a smoke run, marked not comparable.",
        panel=DATA,
        default="all",
        metavar="N",
    ),
]
Output = Annotated[
    Path | None,
    option(
        *("-o", "--output"),
        help="Working store to write, one JSON per operating point.",
        panel=OUT,
        default="runs",
        **PATH,
    ),
]
Reports = Annotated[
    Path | None, option(help="Folder for the report.", panel=OUT, default="report/ in the working store", **PATH)
]
Rerun = Annotated[
    str | None,
    chosen(
        help="Operating points to run: those that are missing; also failed ones; also changed ones (made by other code "
        "of the same version); or all.",
        valid=("missing", "failed", "changed", "all"),
        panel=OUT,
        default="missing",
    ),
]
Tuned = Annotated[
    bool | None,
    option(
        "--tuned/--defaults",
        help="Use the parameters that `bench tune` stored in tuned/ of the working store.",
        panel=OUT,
        default="defaults",
    ),
]
Report = Annotated[
    bool | None,
    option("--report/--no-report", help="Write the report at the end.", panel=OUT, default="report"),
]
VerifyExecuted = Annotated[
    int | None,
    option(
        help="Execute the policies of the first seed on N test samples, really stopping early, and store the agreement "
        "with the simulation in their records.",
        panel=OUT,
        default="none",
        metavar="N",
    ),
]
Device = Annotated[
    str | None,
    option(help="auto, cpu, cuda, cuda:0, …", panel=WORK, default="auto", autocompletion=words("auto", "cpu", "cuda")),
]
Threads = Annotated[int | None, option(help="CPU threads per trial.", panel=WORK, default="2")]
Executor = Annotated[
    str | None,
    chosen(
        help="How trials run. auto: ray for several jobs, several GPUs or a --ray-address, otherwise serial.",
        valid=("auto", "serial", "ray"),
        panel=WORK,
        default="auto",
    ),
]
Jobs = Annotated[
    int | None,
    option("-j", "--jobs", help="Trials to run at once.", panel=WORK, default="1; with ray, as many as fit"),
]
RayAddress = Annotated[
    str | None,
    option(
        help="Address of a running Ray cluster: auto, HOST:PORT or ray://HOST:PORT.",
        panel=WORK,
        default="start a local one",
        autocompletion=words("auto"),
    ),
]
GpusPerTrial = Annotated[
    float | None,
    option(
        help="GPUs per trial with ray; 0.25 lets four trials share one GPU.",
        panel=WORK,
        default="1 if there are GPUs, less if --jobs exceeds them",
    ),
]
Timeout = Annotated[float | None, option(help="Seconds per attempt at a trial.", panel=WORK, default="no limit")]
Retries = Annotated[int | None, option(help="How often a failed trial is repeated.", panel=WORK, default="1")]
Memory = Annotated[float | None, option(help="GiB that a trial may allocate.", panel=WORK, default="no limit")]


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
}  # besides dataset and backbone, these decide which bank is used and where it is built
F = TypeVar("F", bound=Callable[..., None])


def taking(options: Mapping[str, Any]) -> Callable[[F], F]:
    """Replace the `**given` of a command by these named options; options that are left out are None."""

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
    """Remove the suite and the choice of its settings from `given` and return them; None if no suite is given.

    Raises UserError if settings are chosen without a suite.
    """
    suite, settings = given.pop("suite"), given.pop("settings")
    if suite is None and settings is not None:
        raise UserError("--settings chooses settings of a suite. Add --suite, or name --dataset and --backbone.")
    return None if suite is None else (suite, settings)


def run_config(config: Path | None, given: dict[str, Any]) -> RunConfig:
    """Merge defaults, config file and given options (later ones take precedence), and load the plugin files they name.

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
