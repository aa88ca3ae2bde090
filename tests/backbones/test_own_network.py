"""The page on bringing your own network: what it says is what happens."""

from __future__ import annotations

import re
import runpy
import shlex
import sys

import pytest

from bench import load_records
from bench.check.network import checks
from tests.helpers.pages import blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "backbones.md"


def test_the_page_lists_every_check():
    section = PAGE.read_text().partition("## 3. Check it")[2].partition("## 4.")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [check.name for check in checks()]


@pytest.mark.slow
def test_every_block_of_the_page_runs(bench, tmp_path, monkeypatch):
    before = set(sys.modules)
    ran = []
    try:
        for block in blocks(PAGE):
            if block.file:
                (tmp_path / block.file).write_text(block.text)
            elif block.language == "sh":
                program, *words = shlex.split(block.text)
                if program == "python":
                    with monkeypatch.context() as at:  # Python finds what is beside a script
                        at.syspath_prepend(tmp_path)
                        runpy.run_path(words[0], run_name="__main__")
                else:
                    done = bench(*words, *(["--no-report"] if words[0] == "run" else []))
                    assert done.returncode == 0, block.text + done.stdout + done.stderr
                ran.append(words[0])
    finally:
        for name in ("net", "my_nets", "my_vit"):
            assert name not in before
            sys.modules.pop(name, None)
    assert ran == ["net.py", "check-backbone", "run", "export", "use.py", "check-backbone", "new", "check"]
    records = load_records(tmp_path / "runs")
    assert set(records["backbone"]) == {"my_nets:small"} and {"ok"} <= set(records["status"]) <= {"ok", "infeasible"}
    (full,) = records.loc[(records["method"] == "static") & (records["exit"] == 2), "accuracy"]
    assert full > 0.3  # of a probe on features that were learned on other digits
