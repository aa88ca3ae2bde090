"""`bench tune`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED
from bench.cli.terminal import say, say_json
from bench.system.text import clean
from bench.trials.folders import names_of

if TYPE_CHECKING:
    from rich.console import Console

    from bench.bank.cell import Cell
    from bench.session import Session
    from bench.tune.search import Search


SHARED = {
    "plugin": o.Plugin,
    "methods": o.Methods,
    "bank": o.Bank,
    "dataset": o.Dataset,
    "backbone": o.Backbone,
    "budgets": o.Budgets,
}
EXECUTION = {
    "output": o.Output,
    "threads": o.Threads,
    "executor": o.Executor,
    "jobs": o.Jobs,
    "ray_address": o.RayAddress,
    "gpus_per_trial": o.GpusPerTrial,
    "timeout": o.Timeout,
}


@o.taking({**SHARED, **o.BANK, **EXECUTION})
def tune(
    config: o.Config = None,
    seeds: Annotated[
        str,
        typer.Option(help="Seeds on which every trial is scored, comma-separated; do not use those of your runs."),
    ] = "100,101,102",
    trials: Annotated[
        int, typer.Option(min=2, max=100_000, help="Trials per method; the first uses its defaults.")
    ] = 20,
    search_seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler, the same for every method.")] = 0,
    json_output: o.Json = False,
    **given: Any,
) -> None:
    """Search parameters of methods on val, with the same number of trials and the same seeds for every method.

    To continue an interrupted search, run the same command again. The results are
    stored in tuned/ of the working store; `bench run --tuned` uses them.
    """
    from bench.cli.terminal import console as make_console

    settings = o.run_config(config, given | {"seeds": seeds})
    console = make_console(stderr=json_output)
    with console.status("Loading …"):
        from bench.session import Session
        from bench.system.files import check_writable
        from bench.tune.search import Budget

        session = Session(settings)
        check_writable(settings.output, "working store", "--output")
        device_type = session.device.partition(":")[0]
        budget = Budget(
            trials,
            settings.seeds,
            settings.budgets,
            search_seed,
            threads=settings.threads,
            device=device_type,
        )
    searches, without = _searches(session, budget, console)
    _run(session, searches, console)
    (_print_json if json_output else _show)(console, searches, without)
    if any(not s.finished or _failed(s) for s in searches):
        raise typer.Exit(FAILED)


def _searches(session: Session, budget: Any, console: Console) -> tuple[list[Search], list[str]]:
    """Return the searches of all methods on all banks, and the names of methods without a search space."""
    from bench.cli.progress import building
    from bench.config import geometric_budgets
    from bench.plugins.params import label
    from bench.tune.history import FOLDER
    from bench.tune.search import Search
    from bench.tune.space import space_of

    spaces = {label(m.name, m.config): bool(space_of(m)) for m in session.methods}
    without = [name for name, has in spaces.items() if not has]
    searched = [m for m in session.methods if spaces[label(m.name, m.config)]]
    found: list[Search] = []
    for source in session.sources() if searched else ():
        with building(console, source.request.title) as advance:
            bank = source.ensure(session.device, advance)
        if any(search.bank.digest == bank.digest for search in found):
            continue  # the same images are given under another path
        own = replace(budget, budgets=budget.budgets or geometric_budgets(bank.manifest.macs))
        found += [Search(bank, method, own, session.config.output / FOLDER) for method in searched]
    return found, without


def _run(session: Session, searches: list[Search], console: Console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        names = names_of(search.cell for search in searches)
        tasks = {
            id(s): progress.add_task(clean(_title(s, names)), total=s.budget.trials, completed=_done(s))
            for s in searches
        }

        def ended(search: Search, row: Any) -> None:
            progress.update(tasks[id(search)], completed=_done(search))

        dispatch(session, searches, ended)


def dispatch(session: Session, searches: list[Search], ended: Any) -> None:
    """Run searches with the executor of the configuration."""
    from bench.config import resolve_dispatch

    config = session.config
    plan = resolve_dispatch(config, session.device)
    if plan.executor == "serial":
        from bench.tune import serial

        told = config.threads, config.timeout, lambda search, number: None, ended
        serial.run(searches, plan.device, *told, apart=bool(session.outsiders))
        return
    from bench.executors.cluster import Cluster
    from bench.executors.worker import Settings
    from bench.tune import ray

    cluster = Cluster(config.ray_address, plan.jobs, plan.gpus_per_trial)
    settings = Settings(plan.device, config.threads, {}, timeout=config.timeout)
    ray.run(searches, settings, cluster, config.plugin, lambda search, number: None, ended)


def _title(search: Search, names: dict[Cell, str]) -> str:
    """Return the title of a search, with the name of its bank if there are several."""
    return search.title if len(names) == 1 else f"{names[search.cell]} · {search.name}"


def _failed(search: Search) -> bool:
    decision = search.result().decision
    return any(row.status == "failed" for row in search.history) or (decision is not None and bool(decision.reason))


def _done(search: Search) -> int:
    return sum(row.number < search.budget.trials for row in search.history)


def _show(console: Console, searches: list[Search], without: list[str]) -> None:
    from bench.cli.terminal import table
    from bench.tune.edges import at_edges
    from bench.tune.verdict import NOTE, compared

    names = names_of(search.cell for search in searches)
    columns = ["method", *(["on"] if len(names) > 1 else []), "trials", "defaults", "winner", "difference", "kept"]
    shown = table(*columns, title="Search")
    for search in searches:
        result = search.result()
        where = [names[search.cell]] if len(names) > 1 else []
        cells = [result.subject.method, *where, str(_done(search)), *compared(result.decision)]
        shown.add_row(*cells, result.kept or "not finished")
    if searches:
        console.print(shown)
        console.print(f"{NOTE} Brackets: 95 % intervals.")
    for search in searches:
        result = search.result()
        kept = {"defaults": "kept its defaults", "tuned": "kept tuned values"}
        unfinished = f"not finished, {_done(search)} of {result.trials} trials; run the same command again to continue"
        say(f"{_title(search, names)}: {f'{kept[result.kept]}; {result.reason}' if result.kept else unfinished}.")
        if result.kept == "tuned":
            say("  " + ", ".join(f"{k}={v}" for k, v in result.parameters.items()))
        for sentence in at_edges(result):
            say(f"  best trial: {sentence}.")
        for row in (row for row in result.history if row.status == "failed" and row.same_as is None):
            say(f"  trial {row.number} failed: {row.reason}")
    if without:
        say(f"No search space: {', '.join(without)}; they keep their defaults.")
    if searches:
        say(f"Searches: {searches[0].path.parent.resolve()}")


def _print_json(console: Console, searches: list[Search], without: list[str]) -> None:
    from bench.tune.edges import at_edges

    found = [
        result.model_dump(mode="json") | {"path": str(search.path), "at_edges": at_edges(result)}
        for search, result in ((search, search.result()) for search in searches)
    ]
    say_json({"searches": found, "without_space": without})
