"""`bench plan`: what `bench run` with the same options would do, and what it is expected to cost."""

from __future__ import annotations

from typing import Any, get_type_hints

from bench.cli import options as o
from bench.cli.planned import show
from bench.cli.run import run

LEFT_OUT = ("dry_run", "json_output", "return")
RUN = {k: hint for k, hint in get_type_hints(run, include_extras=True).items() if k not in LEFT_OUT}


@o.taking(RUN)
def plan(json_output: o.Json = False, **given: Any) -> None:
    """Print what `bench run` with the same options would do, and how long it would take. Nothing is run or downloaded.

    For each bank: its state, size and build time. For each method: the trials
    that are done, failed and missing, and the expected time of those to do, with
    the source of the estimate. docs/commands.md lists the keys of --json.
    """
    from bench.cli.terminal import console as make_console

    suite, settings = o.suite_of(given), o.run_config(given.pop("config"), given)
    if suite:
        from bench.cli import suite as suites

        suites.plan(*suite, settings, json_output=json_output)
        return
    console = make_console(stderr=json_output)
    with console.status("Loading …"):
        from bench.session import Session

        session = Session(settings)
    show(session, console, json_output=json_output)
