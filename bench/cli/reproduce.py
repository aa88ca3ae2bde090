"""`bench reproduce`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import options as o
from bench.cli.completion import words
from bench.cli.guard import FAILED
from bench.cli.terminal import plain, say, say_json
from bench.system.text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from bench.config import RunConfig
    from bench.reproduce.table import Result

PAPERS = ("jeidnn",)
PRESETS = ("released", "paper", "ours")
COSTS = ("layers", "macs")


def reproduce(
    paper: Annotated[str, typer.Argument(help="Paper whose grid to run: jeidnn.", autocompletion=words(*PAPERS))],
    cells: Annotated[
        str | None, o.option(help="Cells of the grid, comma-separated, such as cifar10/t2t_vit_7.", default="all")
    ] = None,
    preset: Annotated[str, o.chosen(help="Preset of the method to run.", valid=PRESETS)] = "released",
    cost: Annotated[
        str, o.chosen(help="Cost term of the gate targets; the published runs used layers.", valid=COSTS)
    ] = "layers",
    seeds: o.Seeds = None,
    data_dir: o.DataDir = None,
    weights: Annotated[
        Path | None,
        o.option(help="Fine-tuned checkpoint of the one cell that --cells names.", default="search for it", **o.PATH),
    ] = None,
    bank_dir: o.BankDir = None,
    device: o.Device = None,
    threads: o.Threads = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Show what is available and what is missing; run nothing.")
    ] = False,
    json_output: o.Json = False,
    output: Annotated[
        Path | None, o.option("-o", "--output", help="CSV file to write the rows to as well.", default="none", **o.PATH)
    ] = None,
) -> None:
    """Run a paper's grid if its weights and data are available, and print our numbers next to the published ones."""
    _check("paper", paper, PAPERS)
    _check("preset", preset, PRESETS)
    _check("cost", cost, COSTS)
    _check_output(output)
    given = {"seeds": seeds, "data_dir": data_dir, "bank_dir": bank_dir, "device": device, "threads": threads}
    config = o.run_config(None, given)

    from bench.cli.terminal import console as make_console
    from bench.reproduce import grid

    console = make_console(stderr=json_output)
    chosen = grid.choose(cells)
    with console.status("Looking for data and weights …"):
        from bench.reproduce.availability import look
        from bench.reproduce.run import method_spec
        from bench.reproduce.table import Result, as_csv, as_json

        found = look(chosen, data_dir, weights)
    results = [Result(available, str(method_spec(available.cell, preset, cost))) for available in found]
    if not json_output:
        _print_availability(console, results)
    if not dry_run:
        results = [_run(console, r, config, strict=weights is not None) for r in results]
    if json_output:
        say_json(as_json(results))
    else:
        _print_tables(console, results)
    if output is not None:
        output.write_text(as_csv(results), encoding="utf-8")
    if any(result.status == "failed" for result in results):
        raise typer.Exit(FAILED)


def _check(what: str, value: str, valid: tuple[str, ...]) -> None:
    from bench.errors import UserError, nearest

    if value not in valid:
        raise UserError(f"'{value}' is not a valid {what}.{nearest(value, valid)}")


def _check_output(output: Path | None) -> None:
    from bench.errors import UserError

    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise UserError(f"--output {output} cannot be written. Give the path of a CSV file in a folder that exists.")


def _run(console: Console, result: Result, config: RunConfig, *, strict: bool) -> Result:
    """Run a cell if it is complete; an error is stored as its failure, but a UserError is raised if `strict`."""
    from bench.cli.progress import building
    from bench.errors import UserError
    from bench.plugins.spec import parse
    from bench.reproduce import run
    from bench.trials.run import explain

    available = result.availability
    if not available.complete or available.weights is None:
        return result
    try:
        method = run.load_method(parse(result.method))
        with building(console, available.cell.name) as advance:
            ran = run.run_cell(available.cell, available.weights, config, method, advance)
    except UserError as error:
        if strict:
            raise
        return replace(result, failure=str(error))
    except Exception as error:
        return replace(result, failure=explain(error))
    return replace(result, ran=ran)


def _print_availability(console: Console, results: list[Result]) -> None:
    for available in (result.availability for result in results):
        state = "available" if available.complete else "cannot be run, something is missing"
        console.print(plain(available.cell.name, "bold") + plain(f", {available.cell.image_size} px: {state}"))
        for what, note in (("data", available.data_note), ("weights", available.weights_note)):
            console.print(f"  {what}: {note}", soft_wrap=True)


def _print_tables(console: Console, results: list[Result]) -> None:
    from bench.reproduce.table import HOW_TO_FINE_TUNE, NOTES, as_text

    say("\n" + as_text(results) + "\n")
    missing = any(result.availability.weights is None for result in results)
    for note in (*NOTES, *([HOW_TO_FINE_TUNE] if missing else []), ""):
        console.print(note)
    for result in results:
        say(f"{result.cell.name}: {_state(result)}")
    ran, ready = (sum(r.status == status for r in results) for status in ("ran", "ready"))
    say(f"Cells run: {ran} of {len(results)}." + (f" Available and not run: {ready}." if ready else ""))


def _state(result: Result) -> str:
    """Describe the outcome of a cell: its data and method, why it failed, or why it is not comparable."""
    if result.failure:
        return f"failed with {result.method}: {result.failure}"
    parts = []
    if ran := result.ran:
        data = f"{ran.protocol} on {ran.variant} images" if ran.variant else ran.protocol
        sizes = f"{ran.sizes['train']:,} train and {ran.sizes['test']:,} test images"
        parts += [data, sizes, counted(len(ran.seeds), "seed"), result.method]
    elif result.status == "ready":
        parts.append(f"not run; without --dry-run it would run with {result.method}")
    else:
        parts.append("not run, see above")
    if result.not_comparable:
        parts.append(f"not comparable: {result.not_comparable}")
    return "; ".join(parts)
