"""`bench check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import options as o
from bench.cli.guard import FAILED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bench.check.result import Result

MARKS = {
    "pass": ("✓ ok", "green"),
    "warn": ("! look", "yellow"),
    "fail": ("✗ fails", "red"),
    "skip": ("– skipped", "dim"),
}


def check(
    methods: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Methods: name or name\\[param=value,…], or 'all' of them.")
    ],
    plugin: o.Plugin = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check methods against the interface and explain each violation.

    Covers budgets, determinism, causality, costs, edge cases and workers on synthetic tasks, a few seconds per method.
    Exit code: 0 if all checks pass, 1 if one fails, 2 for a wrong command.
    """
    from bench.cli.terminal import console as make_console
    from bench.cli.terminal import plain

    console = make_console(stderr=json_output)
    with console.status("Loading …") as status:
        from bench.check.examine import examination

        o.run_config(None, {"plugin": plugin})
        names = _names(methods)
        examinations = {name: examination(name) for name in names}
        found: dict[str, list[Result]] = {}
        for name, one in examinations.items():
            status.update(plain(f"Checking {name} …"))
            found[name] = one.results()
            if not json_output:
                show(console, name, found[name], everything=len(names) == 1)
    if json_output:
        _print_json(found)
    if not all(conforms(results) for results in found.values()):
        raise typer.Exit(FAILED)


def _names(methods: list[str]) -> list[str]:
    from bench.plugins import registry
    from bench.plugins.spec import split_list

    asked = [name for text in methods for name in split_list(text)]
    every = list(registry.plugins("methods")) if "all" in asked else []
    return list(dict.fromkeys([*every, *(name for name in asked if name != "all")]))


def conforms(results: list[Result]) -> bool:
    """Return whether every check passed."""
    return all(r.passed for r in results)


def show(console: Console, name: str, results: list[Result], *, everything: bool) -> None:
    """Print a verdict, and a table of all results or of those that need a look."""
    from bench.cli.terminal import plain

    rows = [r for r in results if everything or r.status in ("warn", "fail")]
    seconds = sum(r.seconds for r in results)
    passed = sum(r.passed for r in results)
    verdict = plain("conforms", "green") if passed == len(results) else plain("does not conform", "red")
    rest = plain(f": {passed} of {len(results)} checks passed in {seconds:.1f} s.")
    console.print(plain(f"{name} ", "bold") + verdict + rest)
    if rows:
        console.print(_table(rows))


def _table(rows: list[Result]) -> Table:
    from rich import box

    from bench.cli.terminal import plain, table

    shown = table("check", "", "what it found", box=box.SIMPLE_HEAD)
    shown.add_column("s", justify="right")
    for r in rows:
        shown.add_row(r.name, plain(*MARKS[r.status]), r.message, f"{r.seconds:.2f}")
    return shown


def _print_json(found: dict[str, list[Result]]) -> None:
    import dataclasses

    from bench.cli.terminal import say_json

    rows = [
        {"method": name, "conforms": conforms(results), "checks": [dataclasses.asdict(r) for r in results]}
        for name, results in found.items()
    ]
    say_json(rows)
