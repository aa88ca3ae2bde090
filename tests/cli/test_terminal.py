"""Names are text on every terminal: no markup, no control codes, no letters that stop a run."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from bench.cli import terminal
from tests.helpers.commands import SMALL
from tests.helpers.images import encode

ODD = ["cifar100lt[imbalance=50]", "folder:[bold]", "folder::smile:[/]", "hf:\x1b[2J\x9b\u202edne", "folder:caf\udce9"]
SHOWN = [*ODD[:3], r"hf:\x1b[2J\x9b\u202edne", r"folder:caf\xe9"]


def printed(thing, console: Console | None = None, width: int = 100) -> str:
    console = console or Console(width=width)
    console.file = io.StringIO()
    console.print(thing)
    return console.file.getvalue()


@pytest.mark.parametrize(("name", "shown"), list(zip(ODD, SHOWN, strict=True)))
def test_names_are_printed_as_they_are(name, shown):
    listed = terminal.table("a", title=name)
    listed.add_row(name)
    assert printed(listed).count(shown) == 2
    assert shown in printed(f"{name} is open", terminal.console())
    with terminal.console().status(f"Opening {name}") as status:
        assert status.status.plain == f"Opening {shown}"


def test_an_ascii_terminal_stops_nothing():
    code = (
        "from bench.cli import terminal as t; t.prepare(); t.say('\\xe9 \\u2013 \\u732b'); t.say_json({'a': '\\xe9'}); "
        "t.console().print('\\xb7')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["? ? ?", "{", ' "a": "\\u00e9"', "}", "?"]


@pytest.mark.slow
def test_a_setting_that_two_paths_name_runs_once(bench, tmp_path):
    for i in range(12):
        for name in "ab":
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            image = np.full((8, 8, 3), 20 * i + (name == "b"), dtype=np.uint8)
            (tmp_path / "set" / name / f"{i}.png").write_bytes(encode(image))
    two = [*SMALL, "--dataset", f"folder:set,folder:{tmp_path}/set", "--methods", "msdnet_thresh", "--no-report"]
    done = bench("run", *two, "--seeds", "0", "--budgets", "1")
    assert done.returncode == 0 and "runs only once" in done.stdout
    assert sum("static hull  " in line for line in done.stdout.splitlines()) == 1  # of one leaderboard
