"""The tutorial: what it says is what happens, on few small images."""

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
    ran = []
    for words in (words for block in blocks(PAGE) for words in lines_of(block.text)):
        more = []
        if words[1] == "run":
            small = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
            if "--backbone" in words:
                small = {"--dataset": small["--dataset"], "--threads": "1"}
            kept = [part for name, value in small.items() if name not in words for part in (name, value)]
            more = [*kept, *([] if "--dry-run" in words else FEW)]
        done = bench(*("digits" if word == "mnist5k" else word for word in words[1:]), *more)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        ran.append(words[1])
    assert ran == ["run", "show", *["new", "check", "run"] * 3, "run"]
    records = load_records(tmp_path / "runs")
    assert {"my_rule", "global_thresh"} <= set(records["method"]) and {"ok"} <= set(records["status"])
    assert {"digits", "my_data"} <= set(records["dataset"]) and "my_net" in set(records["backbone"])
