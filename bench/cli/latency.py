"""`bench latency`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import options as o
from bench.cli.terminal import say, say_json
from bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.bank.cell import Cell
    from bench.bank.source import Source, StoredBank
    from bench.execution.job import Wanted
    from bench.execution.measurements import Machine, Row
    from bench.session import Session

UNIT = "ms"
SHARED = {"plugin": o.Plugin, "methods": o.Methods, "dataset": o.Dataset, "backbone": o.Backbone}


@o.taking({**SHARED, **o.BANK, "output": o.Output, "threads": o.Threads, "tuned": o.Tuned})
def latency(
    config: o.Config = None,
    budgets: Annotated[
        str | None,
        o.option(
            default="0.3,0.4,0.5,0.6,0.7,0.8,0.9,1",
            help="Cost budgets, comma-separated: fractions of the plain backbone's MACs (or auto, as in `bench run`), "
            "or milliseconds per batch at the first batch size, such as 5ms.",
        ),
    ] = None,
    batch_sizes: Annotated[str, typer.Option(help="Batch sizes, comma-separated.")] = "1,8,64,256",
    repeats: Annotated[int, typer.Option(min=30, max=100_000, help="Measured passes over the images.")] = 30,
    images: Annotated[int, typer.Option(min=1, help="Test images per pass; at least one batch is run.")] = 64,
    json_output: o.Json = False,
    **given: Any,
) -> None:
    """Measure the latency of policies that really stop early on this machine, and of the plain backbone.

    Policies are fitted on the bank with the first seed. Times are medians and
    quartiles over repeats; they include heads and gates, but not reading images.
    They are stored per machine in latency-….json in the working store.
    """
    from bench.cli.terminal import console as make_console

    fractions, times = _budgets(budgets)
    settings = o.run_config(config, given | {"budgets": fractions})
    console = make_console(stderr=json_output)
    with console.status("Loading …"):
        from bench.execution.job import Wanted
        from bench.session import Session
        from bench.system.files import check_writable

        shares = () if times and fractions is None else settings.budgets
        wanted = Wanted(shares, times, _sizes(batch_sizes), images, repeats)
        auto = not (settings.budgets or (times and fractions is None))
        session = Session(settings)
        check_writable(settings.output, "working store", "--output")
    found = [_measure(session, source, wanted, console, auto=auto, quiet=json_output) for source in session.sources()]
    if json_output:
        say_json({"settings": found})


def _measure(
    session: Session, source: Source | StoredBank, wanted: Wanted, console: Console, *, auto: bool, quiet: bool
) -> dict[str, Any]:
    """Measure on one bank, print a table per batch size, and return everything as JSON values.

    auto: use the bank's own budgets.
    """
    from rich.progress import Progress

    from bench.bank.cell import cell_of
    from bench.cli.progress import building
    from bench.config import geometric_budgets
    from bench.execution.job import prepare, run
    from bench.execution.measurements import Machine, path_of

    with building(console, source.request.title) as advance:
        network = session.network(source, advance)
    cell, threads = cell_of(network.bank), session.config.threads
    if auto:
        wanted = replace(wanted, fractions=geometric_budgets(network.bank.manifest.macs))
    with console.status(f"Fitting methods on {cell.title} …"):
        ready = prepare(network, session.configured(cell), wanted, threads)
    machine = Machine.here(str(network.device), threads)
    if not quiet:
        say(f"{cell.title}; {machine.title}")
        for line in ready.infeasible:
            say(f"  infeasible: {line}")
        if ready.exit_milliseconds:
            per_exit = ", ".join(f"{m:.3g}" for m in ready.exit_milliseconds)
            say(f"Milliseconds up to each exit at batch size {wanted.batch_sizes[0]}: {per_exit}")
    rows: list[Row] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=wanted.repeats * len(wanted.batch_sizes))
        output = session.config.output
        for size, measured in run(network, ready.policies, wanted, output, threads, lambda: progress.advance(task)):
            rows += measured
            if not quiet:
                console.print(_table(size, measured))
    path = path_of(output, cell)
    picture = _draw(rows, path, cell, machine)
    if not quiet:
        console.print(_legend(rows))
        say(f"Latencies: {path.resolve()}")
        say(f"Figure:    {picture.resolve()}")
    return {
        "cell": cell.model_dump(mode="json"),
        "machine": machine.model_dump(),
        "exit_milliseconds": ready.exit_milliseconds,
        "rows": [row.model_dump() for row in rows],
        "infeasible": ready.infeasible,
        "path": str(path),
        "figure": str(picture),
    }


def _draw(rows: Sequence[Row], path: Path, cell: Cell, machine: Machine) -> Path:
    """Draw the measurements into a figure beside the file of latencies, and return its path."""
    from bench.report.cells import title
    from bench.report.figures.latency import latency_figure
    from bench.system.files import write_atomic

    found = latency_figure(rows, title(cell), machine.title)
    picture = path.with_name(f"{path.stem}-{machine.key}.png")
    write_atomic(picture, lambda file: file.write(found.files["latency.png"]))
    return picture


def _table(size: int, rows: Sequence[Row]) -> Any:
    from rich.box import SIMPLE

    from bench.cli.terminal import table

    shown = table(title=f"Batch size {size}", box=SIMPLE, padding=0)
    shown.add_column("method", overflow="fold", min_width=13)
    for header in ("budget", "acc. %", "counted", "executed", "1/exec.", "ms", "quartiles", "speed-up"):
        shown.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            row.method,
            row.budget or "",
            f"{100 * row.accuracy:.1f}",
            f"{row.cost_counted:.3f}",
            f"{row.cost_executed:.3f}",
            f"{1 / row.cost_executed:.2f}",
            f"{row.milliseconds.median:.3g}",
            f"{row.milliseconds.q1:.3g}–{row.milliseconds.q3:.3g}",
            f"{row.speed_up:.2f}",
        )
    return shown


def _legend(rows: Sequence[Row]) -> str:
    return (
        "Costs are fractions of the plain backbone's MACs. counted: mean over the test split; executed: mean over the "
        f"images that were run. ms: measured time per batch, median and quartiles of {rows[0].repeats} passes over the "
        "images. 1/exec.: the speed-up if early exiting had no overhead."
    )


def _budgets(text: str | None) -> tuple[str | None, list[float]]:
    """Separate budgets as fractions (None: none were given) from those in milliseconds."""
    from bench.plugins.spec import split_list

    items = split_list(text) if text else []
    times = [item for item in items if item.strip().lower().endswith(UNIT)]
    try:
        found = [float(item.strip()[: -len(UNIT)]) for item in times]
    except ValueError:
        raise UserError(f"'{', '.join(times)}' is not a budget in milliseconds. Write 5ms, for example.") from None
    return ",".join(item for item in items if item not in times) or None, found


def _sizes(text: str) -> list[int]:
    try:
        return [int(item) for item in text.split(",")]
    except ValueError:
        raise UserError(f"'{text}' is not a list of batch sizes. Write, for example, 1,8,64,256.") from None
