"""`bench run`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED
from bench.cli.terminal import plain, say_json
from bench.system.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bench.api.running import Finished
    from bench.bank.source import Source, StoredBank
    from bench.cli.watching import OnConsole
    from bench.session import Prepared, Session

Told = list[dict[str, Any]] | None  # collects the results of runs as JSON values; None without --json


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
    dry_run: o.DryRun = False,
    json_output: o.Json = False,
) -> None:
    """Compare methods: build the feature bank, fit, evaluate and score methods, store records, write a report.

    Without options, it compares JEI-DNN with max-probability and entropy
    thresholds on 5,000 MNIST images and a pretrained EfficientNet-Lite0. Finished
    operating points are not run again.
    """
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run", "json_output")}
    told: Told = [] if json_output and not dry_run else None
    picked = o.suite_of(given)
    try:
        _start(config, given, picked, told, dry_run=dry_run, json_output=json_output)
    finally:
        if told:
            say_json(told if picked else told[0])


def _start(
    config: Path | None,
    given: dict[str, Any],
    suite: tuple[str, str | None] | None,
    told: Told,
    *,
    dry_run: bool,
    json_output: bool,
) -> None:
    from bench.cli.terminal import console as make_console

    if suite:
        from bench.cli import suite as suites

        if dry_run:
            suites.plan(*suite, o.run_config(config, given), json_output=json_output)
        else:
            suites.run(*suite, o.run_config(config, given), partial(run_session, told=told), quiet=json_output)
        return
    settings = o.run_config(config, given)
    console = make_console(stderr=json_output)
    with console.status("Loading …"):
        from bench.session import Session

        session = Session(settings)
    if dry_run:
        from bench.cli.planned import show

        show(session, console, json_output=json_output)
        return
    run_session(session, console, told=told)


def run_session(session: Session, console: Console, *, told: Told = None) -> None:
    """Run a session, write its report and print progress; raise typer.Exit if operating points did not finish.

    told: a list that receives the result as JSON values; if given, everything is printed to standard error.
    """
    session.check_folders()
    with session:
        _run(session, console, told)


def _run(session: Session, console: Console, told: Told) -> None:
    from bench.api.running import execute
    from bench.cli.watching import OnConsole

    watcher = OnConsole(console)
    made = execute(session, watcher)
    apart = sum(_verify(session, watcher, *pair) for pair in zip(made.sources, made.settings, strict=True))
    _finish(session, watcher, made, told)
    if apart:
        watcher.say(f"\nOperating points whose execution disagrees with the simulation: {apart}.")
        raise typer.Exit(FAILED)


def _verify(session: Session, watcher: OnConsole, source: Source | StoredBank, one: Prepared) -> int:
    """Execute policies if asked to, print how they agree with the simulation, and return how many disagree."""
    apart = 0
    if session.config.verify_executed:
        with watcher.console.status(f"Executing policies on {one.cell.modality}s of {one.cell.title} …"):
            for point, agreed in session.verify(source, one.cell, session.config.verify_executed):
                watcher.say(
                    f"Executed {point.label}, {point.point}, on {agreed.images} {one.cell.modality}s: {agreed}."
                )
                apart += agreed.unexplained > 0
    return apart


def _finish(session: Session, watcher: OnConsole, made: Finished, told: Told) -> None:
    from bench.cli import summary

    report = _report(session, watcher.console) if session.config.report else None
    with watcher.console.status("Computing statistics …"):
        boards = summary.boards(session, made)
    if told is None:
        summary.show(boards)
    else:
        told.append(summary.as_json(session, made, boards, report=report is not None))
    count = ", ".join(f"{n} {status}" for status, n in sorted(made.statuses.items())) or "nothing new"
    watcher.say(f"Operating points of this run: {count}.")
    watcher.say(f"Records: {session.config.output.resolve()}")
    if report is not None:
        watcher.say(f"Report:  {report.resolve()}")
    if made.troubles:
        watcher.say(f"\n{counted(len(made.troubles), 'operating point')} did not finish:")
        for title, reason in made.troubles:
            watcher.say(f"  {title}: {reason}")
        raise typer.Exit(FAILED)


def _report(session: Session, console: Console) -> Path:
    """Write the report of the store and return the path of its first page."""
    from bench.errors import UserError
    from bench.report.build import build
    from bench.report.request import request_of

    out = session.config.reports
    if not console.is_interactive:
        console.print("Writing the report …")
    try:
        with console.status("Writing the report …") as status:
            build(request_of(session.config.output, out), tell=lambda line: status.update(plain(f"Report: {line}")))
    except OSError as error:
        problem = f"The report could not be written to '{out}' ({error.strerror or error})."
        remedy = "All records are stored. Free some space, then run `bench report`."
        raise UserError(f"{problem} {remedy}") from None
    return out / "README.md"
