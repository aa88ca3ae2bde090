"""`bench run` and `bench plan`."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bench.bank.bank import Bank
    from bench.session import Session
    from bench.trials.plan import Trial


def run(
    config: o.Config = None,
    plugin: o.Plugin = None,
    methods: o.Methods = None,
    dataset: o.Dataset = None,
    backbone: o.Backbone = None,
    budgets: o.Budgets = None,
    seeds: o.Seeds = None,
    exits: o.Exits = None,
    image_size: o.ImageSize = None,
    weights: o.Weights = None,
    views: o.Views = None,
    dtype: o.Dtype = None,
    data_dir: o.DataDir = None,
    bank_dir: o.BankDir = None,
    output: o.Output = None,
    reports: o.Reports = None,
    device: o.Device = None,
    threads: o.Threads = None,
    limit: o.Limit = None,
    rerun: o.Rerun = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Compare methods: build the feature bank once, fit, play, score, store records, write the report.

    Without options: JEI-DNN, max-probability and entropy thresholds on 5,000 MNIST images through a pretrained
    EfficientNet-Lite0. Finished operating points are never repeated.
    """
    given = {k: v for k, v in locals().items() if k not in ("config", "dry_run")}
    _start(config, given, dry_run)


def plan(**given: Any) -> None:
    """Print what `bench run` with the same options would do, and do nothing."""
    _start(given.pop("config"), given, dry_run=True)


_hints = {
    name: hint for name, hint in get_type_hints(run, include_extras=True).items() if name not in ("dry_run", "return")
}
plan.__annotations__ = _hints
plan.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [inspect.signature(run).parameters[name].replace(annotation=hint) for name, hint in _hints.items()]
)


def _start(config: Path | None, given: dict[str, Any], dry_run: bool) -> None:
    from rich.console import Console

    settings = o.run_config(config, given)
    console = Console()
    with console.status("Loading …"):
        from bench.session import Session

        session = Session(settings)
    if dry_run:
        _print_plan(session, console)
    else:
        session.store.check_writable()
        _run(session, console)


def _print_plan(session: Session, console: Console) -> None:
    from rich.table import Table

    from bench.cli.progress import opened
    from bench.params import label

    table = Table("bank", "images", "bank is", "trials to do", "points done", title="Plan", title_justify="left")
    for source in opened(console, session):
        bank = session.find_bank(source)
        every = len(session.config.seeds) * (len(session.methods) + 1)
        todo, done = session.plan(bank) if bank else (None, 0)
        built = "built" if bank else "to build"
        table.add_row(source.title, f"{source.images:,}", built, str(every if todo is None else len(todo)), str(done))
    console.print(table)
    names = ", ".join(label(m.name, m.config) for m in session.methods)
    line = f"Methods: {names}; a trial is one method and seed with all {len(session.config.budgets)} budgets."
    console.print(line, markup=False)
    console.print(f"Nothing was run. Results would go to {session.config.output}.", highlight=False)


def _run(session: Session, console: Console) -> None:
    from bench.cli.progress import building, opened, running

    work: list[tuple[Bank, Trial]] = []
    kept, cells = 0, []
    for source in opened(console, session):
        with building(console, source.title) as advance:
            bank = session.ensure_bank(source, advance)
        trials, done = session.plan(bank)
        work += [(bank, trial) for trial in trials]
        kept += done
        cells.append(bank)
    statuses: Counter[str] = Counter()
    troubles: list[tuple[str, str]] = []
    with running(console, len(work), kept) as (started, finished):
        for trial, records, _ in session.run(work, started):
            statuses.update(r.status for r in records)
            troubles += [
                (f"{trial.title}, {r.point.point}", r.reason or "")
                for r in records
                if r.status in ("failed", "timeout")
            ]
            finished(trial)
    _finish(session, console, cells, statuses, troubles)


def _finish(
    session: Session, console: Console, cells: list[Bank], statuses: Counter[str], troubles: list[tuple[str, str]]
) -> None:
    from bench import load_records
    from bench.cli.summary import summary_table
    from bench.report.build import build

    records = load_records(session.config.output)
    mine = records[records["bank_digest"].isin([bank.digest for bank in cells])]
    for table in summary_table(mine):
        console.print(table)
    with console.status("Writing the report …"):
        paths = build(records, session.config.reports)
    count = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items())) or "nothing new"
    print(f"Operating points of this run: {count}.")
    print(f"Records: {session.config.output.resolve()}")
    print(f"Report:  {next((p for p in paths if p.name == 'README.md'), session.config.reports).resolve()}")
    if troubles:
        print(f"\n{len(troubles)} operating points did not finish:")
        for title, reason in troubles:
            print(f"  {title}: {reason}")
        raise typer.Exit(FAILED)
