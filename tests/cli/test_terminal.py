"""Names are text on every terminal: no markup, no control codes, no letters that stop a run."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from bench.cli import terminal
from bench.cli.summary import summary_table, summary_tables
from bench.system.text import storable
from tests.helpers.commands import SMALL
from tests.helpers.images import encode
from tests.helpers.records import cell, point, record

ODD = ["cifar100lt[imbalance=50]", "folder:[bold]", "folder::smile:[/]", "hf:\x1b[2J\x9b\u202edne", "folder:caf\udce9"]
SHOWN = [*ODD[:3], r"hf:\x1b[2J\x9b\u202edne", r"folder:caf\xe9"]


def made(where, label: str, budget: float):
    return record(where, point(label, f"budget={budget:g}", 0), metrics={"accuracy": 0.9, "macs_fraction": 0.5})


def printed(thing, console: Console | None = None, width: int = 100) -> str:
    console = console or Console(width=width)
    console.file = io.StringIO()
    console.print(thing)
    return console.file.getvalue()


@pytest.mark.parametrize(("name", "shown"), list(zip(ODD, SHOWN, strict=True)))
def test_names_are_printed_as_they_are(name, shown):
    records = [made(cell(dataset=storable(name)), "static[x=1]", 0.5)]
    (table,) = summary_tables(records)
    assert shown in printed(table) and "static[x=1]" in printed(table)
    listed = terminal.table("a", title=name)
    listed.add_row(name)
    assert printed(listed).count(shown) == 2
    assert shown in printed(f"{name} is open", terminal.console())
    with terminal.console().status(f"Opening {name}") as status:
        assert status.status.plain == f"Opening {shown}"


def test_numbers_are_never_cut():
    label = "pcee[heads=calibrated[base=plain]]"
    records = [made(cell(), label, b / 100) for b in range(30, 100, 3)]
    tables = list(summary_tables(records))
    assert sum(printed(table, width=80).count("90.0") for table in tables) == 24


def test_a_frame_of_records_gives_the_same_tables():
    records = [made(cell(), label, b / 10) for b in range(3, 11) for label in ("msdnet_thresh", "pcee[heads=boosted]")]
    columns = ("kind", "dataset", "backbone", "budget", "seed", "status")
    rows = [
        {
            name: getattr(r.point, name, None) or getattr(r.cell, name, None) or getattr(r, name, None)
            for name in columns
        }
        | {"seed": r.point.seed, "method": r.point.label, **r.metrics}
        for r in records
    ]
    (mine,), (theirs,) = summary_table(pd.DataFrame(rows)), summary_tables(records)
    assert printed(mine).splitlines()[1:] == printed(theirs).splitlines()[1:]  # the title knows the exits and sizes


def test_settings_of_one_name_have_tables_of_their_own():
    cells = [cell(image_size=32), cell(image_size=40, bank_digest="2" * 32)]
    cells += [cell(dataset="folder:a", dataset_digest=d * 64, bank_digest=d * 32) for d in "34"]
    cells += [cell(backbone="other", bank_digest=d * 32) for d in "56"]
    titles = [t.title.plain for t in summary_tables([made(c, "m", 0.5) for c in cells])]
    assert len(set(titles)) == 6
    text = "\n".join(titles)
    assert all(word in text for word in ("32px", "40px", "data33333333", "data44444444", "bank555", "bank666"))


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
    assert done.returncode == 0 and "runs once" in done.stdout and done.stdout.count("┃ budget") == 1
