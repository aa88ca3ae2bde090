"""What --help says: every parameter described, with its default, and one meaning for every flag."""

from __future__ import annotations

import pytest
import typer

from bench.cli import app, options
from bench.config import RunConfig

GROUP = typer.main.get_command(app)
COMMANDS = {name: command for name, command in GROUP.commands.items() if name != "bank"}
COMMANDS |= {f"bank {name}": command for name, command in GROUP.commands["bank"].commands.items()}
SHOWN = (
    "methods", "dataset", "backbone", "budgets", "seeds", "views", "dtype", "precision", "output", "rerun", "device",
    "threads", "executor", "retries",
)  # fmt: skip
READS = ("report", "show", "score", "publish", "submit", "export")
JSON = (
    "run", "plan", "report", "score", "show", "list", "check", "latency", "tune", "reproduce",
    "bank list", "bank remove", "bank verify", "bank prune",
)  # fmt: skip


def visible(command):
    return [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_is_described(name):
    assert COMMANDS[name].help
    assert [p.name for p in visible(COMMANDS[name]) if not p.help] == []


def test_the_defaults_that_help_names_are_those_of_a_run():
    params = {p.name: p for p in COMMANDS["run"].params}
    told = {name: params[name].show_default for name in SHOWN}
    assert RunConfig(**told) == RunConfig()
    panels = {p.rich_help_panel for p in visible(COMMANDS["run"])}
    assert {options.WHAT, options.DATA, options.WORK, options.OUT} <= panels


def test_results_are_read_with_one_flag_and_written_with_another():
    for name, command in COMMANDS.items():
        flags = {flag for p in visible(command) for flag in p.opts}
        assert ("--results" in flags) == (name in READS), name
        if name in READS and name != "export":
            assert not {"-o", "--output", "--store"} & flags, name
        assert name not in JSON or "--json" in flags, name
