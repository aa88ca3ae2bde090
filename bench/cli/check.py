"""`bench check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion
from bench.cli import options as o
from bench.cli.guard import FAILED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bench.check.result import Result
    from bench.plugins.registry import Kind

MARKS = {
    "pass": ("✓ ok", "green"),
    "warn": ("! warning", "yellow"),
    "fail": ("✗ fails", "red"),
    "skip": ("– skipped", "dim"),
}


def check(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…",
            help="Methods, heads, datasets or backbones: name, name\\[param=value,…] or module:factory. all: every "
            "method, or with --kind head every head recipe.",
            autocompletion=completion.of_kind,
        ),
    ],
    kind: Annotated[
        str | None,
        o.chosen(
            help="Kind of NAME, if several kinds use the name.",
            valid=("method", "head", "dataset", "backbone"),
            default="the kind that uses the name",
        ),
    ] = None,
    plugin: o.Plugin = None,
    data_dir: o.DataDir = None,
    json_output: o.Json = False,
) -> None:
    """Check methods, heads, datasets and backbones against their interface and explain each violation.

    Methods and heads are fitted on synthetic tasks, backbones are run on random
    images, and datasets are opened and partly read. Each takes a few seconds.
    Exit code: 0 if all checks pass, 1 if one fails, 2 for an invalid command.
    """
    from bench.cli.terminal import console as make_console
    from bench.cli.terminal import plain

    console = make_console(stderr=json_output)
    with console.status("Loading …") as status:
        from bench.check.kinds import examination

        o.run_config(None, {"plugin": plugin})
        examinations = {pair: examination(*pair, data_dir) for pair in _subjects(names, kind)}
        found: dict[tuple[Kind, str], list[Result]] = {}
        for (of, name), one in examinations.items():
            status.update(plain(f"Checking {name} …"))
            found[of, name] = one.results()
            if not json_output:
                show(console, name, found[of, name], everything=len(examinations) == 1)
    if json_output:
        _print_json(found)
    if not all(conforms(results) for results in found.values()):
        raise typer.Exit(FAILED)


def _subjects(texts: list[str], kind: str | None) -> list[tuple[Kind, str]]:
    """Return the kind and the name of everything to check."""
    from bench.check.kinds import WORDS, kind_of
    from bench.errors import UserError, nearest
    from bench.plugins import registry
    from bench.plugins.spec import split_list

    if kind is not None and kind not in WORDS:
        raise UserError(f"'{kind}' is not a kind that can be checked.{nearest(kind, WORDS)}")
    asked = [name for text in texts for name in split_list(text)]
    of = WORDS[kind or "method"]
    if "all" in asked and of not in ("methods", "heads"):
        raise UserError(f"'all' is for methods and heads only. Name the {of} to check.")
    every = [(of, name) for name in registry.plugins(of)] if "all" in asked else []
    named = [(WORDS[kind] if kind else kind_of(name), name) for name in asked if name != "all"]
    return list(dict.fromkeys([*every, *named]))


def conforms(results: list[Result]) -> bool:
    """Return whether every check passed."""
    return all(r.passed for r in results)


def show(console: Console, name: str, results: list[Result], *, everything: bool) -> None:
    """Print a verdict and a table of results: all of them if `everything`, otherwise warnings and failures."""
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

    shown = table("check", "", "finding", box=box.SIMPLE_HEAD)
    shown.add_column("s", justify="right")
    for r in rows:
        shown.add_row(r.name, plain(*MARKS[r.status]), r.message, f"{r.seconds:.2f}")
    return shown


def _print_json(found: dict[tuple[Kind, str], list[Result]]) -> None:
    import dataclasses

    from bench.cli.terminal import say_json

    rows = [
        {kind[:-1]: name, "conforms": conforms(results), "checks": [dataclasses.asdict(r) for r in results]}
        for (kind, name), results in found.items()
    ]
    say_json(rows)
