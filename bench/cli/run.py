"""`bench run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED
from bench.cli.terminal import plain, say

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bench.api.running import Finished
    from bench.bank.source import Source, StoredBank
    from bench.session import Prepared, Session


def run(
    config: o.Config = None,
    suite: o.Suite = None,
    settings: o.Settings = None,
    plugin: o.Plugin = None,
    methods: o.Methods = None,
    bank: o.Bank = None,
    dataset: o.Dataset = None,
    backbone: o.Backbone = None,
    budgets: o.Budgets = None,
    seeds: o.Seeds = None,
    exits: o.Exits = None,
    image_size: o.ImageSize = None,
    weights: o.Weights = None,
    views: o.Views = None,
    dtype: o.Dtype = None,
    precision: o.Precision = None,
    channels_last: o.ChannelsLast = None,
    data_dir: o.DataDir = None,
    bank_dir: o.BankDir = None,
    output: o.Output = None,
    reports: o.Reports = None,
    device: o.Device = None,
    threads: o.Threads = None,
    limit: o.Limit = None,
    rerun: o.Rerun = None,
    tuned: o.Tuned = None,
    report: o.Report = None,
    verify_executed: o.VerifyExecuted = None,
    executor: o.Executor = None,
    jobs: o.Jobs = None,
    ray_address: o.RayAddress = None,
    gpus_per_trial: o.GpusPerTrial = None,
    timeout: o.Timeout = None,
    retries: o.Retries = None,
    memory: o.Memory = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print the plan and stop: `bench plan`.")] = False,
) -> None:
    """Compare methods: build the feature bank once, fit, evaluate, score, store records, write the report.

    Without options: JEI-DNN, max-probability and entropy thresholds on 5,000 MNIST images through a pretrained
    EfficientNet-Lite0. Finished operating points are never repeated.
    """
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run")}
    _start(config, given, dry_run)


def _start(config: Path | None, given: dict[str, Any], dry_run: bool) -> None:
    from bench.cli.terminal import console as make_console

    if suite := o.suite_of(given):
        from bench.cli import suite as suites

        if dry_run:
            suites.plan(*suite, o.run_config(config, given))
        else:
            suites.run(*suite, o.run_config(config, given), run_session)
        return
    settings = o.run_config(config, given)
    console = make_console()
    with console.status("Loading …"):
        from bench.session import Session

        session = Session(settings)
    if dry_run:
        from bench.cli.planned import show

        show(session, console)
        return
    run_session(session, console)


def run_session(session: Session, console: Console) -> None:
    """Run a session to its report, and print what it does; raise typer.Exit if operating points did not finish."""
    session.check_folders()
    with session:
        _run(session, console)


def _run(session: Session, console: Console) -> None:
    from bench.api.running import execute
    from bench.cli.watching import OnConsole

    made = execute(session, OnConsole(console))
    apart = sum(_verify(session, console, *pair) for pair in zip(made.sources, made.settings, strict=True))
    _finish(session, console, made)
    if apart:
        say(f"\nOperating points that decide otherwise when they are executed: {apart}.")
        raise typer.Exit(FAILED)


def _verify(session: Session, console: Console, source: Source | StoredBank, one: Prepared) -> int:
    """Execute policies, if asked to, print how they agree with the simulation, and count those that do not."""
    apart = 0
    if session.config.verify_executed:
        with console.status(f"Executing policies on {one.cell.modality}s of {one.cell.title} …"):
            for point, agreed in session.verify(source, one.cell, session.config.verify_executed):
                say(f"Executed {point.label}, {point.point}, on {agreed.images} {one.cell.modality}s: {agreed}.")
                apart += agreed.unexplained > 0
    return apart


def _finish(session: Session, console: Console, made: Finished) -> None:
    from bench.cli.summary import summary_tables

    for table in summary_tables(made.records(session)):
        console.print(table)
    report = _report(session, console) if session.config.report else None
    count = ", ".join(f"{n} {status}" for status, n in sorted(made.statuses.items())) or "nothing new"
    say(f"Operating points of this run: {count}.")
    say(f"Records: {session.config.output.resolve()}")
    if report is not None:
        say(f"Report:  {report.resolve()}")
    if made.troubles:
        say(f"\n{len(made.troubles)} operating points did not finish:")
        for title, reason in made.troubles:
            say(f"  {title}: {reason}")
        raise typer.Exit(FAILED)


def _report(session: Session, console: Console) -> Path:
    """Write the report of the store, setting by setting, and return its first page."""
    from bench.errors import UserError
    from bench.report.build import build
    from bench.report.request import request_of

    out = session.config.reports
    try:
        with console.status("Writing the report …") as status:
            build(request_of(session.config.output, out), tell=lambda line: status.update(plain(f"Report: {line}")))
    except OSError as error:
        problem = f"The report could not be written to '{out}' ({error.strerror or error})."
        remedy = "All records are stored: make room, and `bench report` writes it from them."
        raise UserError(f"{problem} {remedy}") from None
    return out / "README.md"
