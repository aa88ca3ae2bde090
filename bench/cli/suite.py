"""Run the settings of a suite one after the other, plan them together, or list them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from bench.cli.guard import FAILED
from bench.cli.terminal import console as make_console
from bench.cli.terminal import say, say_json
from bench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bench.cli.planned import BankPlan
    from bench.config import RunConfig
    from bench.session import Session
    from bench.suites.suite import Setting, Suite


def run(
    name: str,
    wanted: str | None,
    own: RunConfig,
    run_session: Callable[[Session, Console], None],
    *,
    quiet: bool = False,
) -> None:
    """Run the settings of a suite; if one fails, the others still run, and the command exits with code 1.

    quiet: print only to standard error. Raises UserError, before any work, if a network is missing.
    """
    from bench.session import Session
    from bench.suites.runs import check_networks

    chosen, console = _chosen(name, wanted, own), make_console(stderr=quiet)
    check_networks([setting for setting, _ in chosen])
    bad = []
    for i, (setting, config) in enumerate(chosen, start=1):
        say(f"\nSetting {i} of {len(chosen)}: {setting.name}", error=quiet)
        try:
            run_session(Session(config), console)
        except UserError as error:
            say(f"bench: {error}", error=True)
            bad.append(setting.name)
        except typer.Exit:  # the session has printed what did not finish
            bad.append(setting.name)
    if bad:
        say(f"\nNot complete: {', '.join(bad)}. Run the same command again to finish.", error=quiet)
        raise typer.Exit(FAILED)


def plan(name: str, wanted: str | None, own: RunConfig, *, json_output: bool = False) -> None:
    """Print the plan of a suite's run: one row per setting, or the full plan of a single setting."""
    from bench.cli.planned import as_json, history_of, plans_of, remarks, tell
    from bench.session import Session
    from bench.suites.runs import lacks

    chosen, console = _chosen(name, wanted, own), make_console(stderr=json_output)
    banks: dict[str, BankPlan] = {}
    problems = []
    first = Session(chosen[0][1])
    history = history_of(first, console)
    for setting, config in chosen:
        try:
            if problem := lacks(setting):
                raise UserError(problem)
            (banks[setting.name],) = plans_of(Session(config), history, console)
        except UserError as error:
            problems.append(str(error) if len(chosen) == 1 else f"{setting.name}: {error}")
    if not banks:
        raise UserError("\n".join(problems))
    if json_output:
        say_json(as_json(first, list(banks.values())) | {"problems": problems})
    elif len(chosen) == 1:
        tell(first, list(banks.values()), console)
    else:
        console.print(_table(banks))
        problems += [bank.bank_status.problem for bank in banks.values() if bank.bank_status.problem]
        for line in (*problems, *remarks(first, list(banks.values()))):
            console.print(line, soft_wrap=True)


def _table(banks: Mapping[str, BankPlan]) -> Table:
    from bench.cli.planned import duration
    from bench.cli.terminal import table

    shown = table("setting", "bank is", "build", "done", "to do", "time", title="Plan: settings and their trials")
    shown.columns[0].overflow = "fold"
    for name, bank in banks.items():
        times = [group.seconds for group in bank.groups]
        whole = None if None in times else sum(time for time in times if time is not None)
        done, todo = (sum(getattr(group.trials, key) for group in bank.groups) for key in ("done", "todo"))
        counts = ["unknown"] * 3 if not bank.groups else [str(done), str(todo), duration(whole)]
        shown.add_row(name, bank.bank_status.state, duration(bank.build_seconds), *counts)
    return shown


def _chosen(name: str, wanted: str | None, own: RunConfig) -> list[tuple[Setting, RunConfig]]:
    """Return the chosen settings, each with the configuration of its run."""
    from bench.suites.runs import runs
    from bench.suites.suite import load

    suite = load(name)
    settings = suite.pick(wanted)
    return list(zip(settings, runs(suite, settings, own), strict=True))


def listed(name: str | None, json_output: bool) -> None:
    """Print all suites, or the settings of one with the equivalent commands."""
    from bench.suites.runs import commands
    from bench.suites.suite import load, suites

    if name is None:
        found = suites()
        rows: Any = [_row(key, suite) for key, suite in found.items()]
        lines = ["suites:", *(f"  {row['name']}  {row['edition']}: {row['summary']}" for row in rows)]
    else:
        suite = load(name)
        settings: list[dict[str, Any]] = [
            {"name": one.name, "commands": commands(suite, one)} for one in suite.settings
        ]
        rows = _row(name, suite) | {"settings": settings}
        lines = [f"{suite.edition}: {rows['summary']}", f"Digest: {suite.digest}", ""]
        for row in settings:
            lines += [row["name"], *(f"  {command}" for command in row["commands"])]
    if json_output:
        say_json(rows)
        return
    for line in lines:
        say(line)


def _row(name: str, suite: Suite) -> dict[str, Any]:
    summary = f"{len(suite.settings)} settings, seeds {suite.options['seeds']}, {suite.options['methods']} methods"
    return {"kind": "suites", "name": name, "edition": suite.edition, "summary": summary, "digest": suite.digest}
