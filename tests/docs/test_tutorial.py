"""The tutorial: what it says is what happens, on few small images.

Later runs are planned, and `bench check` is left to the tests of the pages on each kind of plugin, which run it.
"""

from __future__ import annotations

import pytest

from bench import load_records
from tests.helpers.commands import SMALL
from tests.helpers.pages import blocks, lines_of
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
FEW = ["--limit", "60", "--seeds", "0", "--budgets", "0.7,1", "--no-report"]


@pytest.mark.slow
def test_every_command_of_the_page_works(bench, tmp_path):
    ran: list[str] = []
    for words in (words for block in blocks(PAGE) for words in lines_of(block.text)):
        more = []
        if words[1] == "run":
            small = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
            if "--backbone" in words:
                small = {"--dataset": small["--dataset"]}
            more = [part for name, value in small.items() if name not in words for part in (name, value)]
            more += ["--dry-run"] if "run" in ran else FEW
        ran.append(words[1])
        if words[1] == "check":
            continue
        done = bench(*("digits" if word == "mnist5k" else word for word in words[1:]), *more)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    assert ran == ["run", "show", *["new", "check", "run"] * 3, "run"]
    assert {"jeidnn", "msdnet_thresh"} <= set(load_records(tmp_path / "runs")["method"])
