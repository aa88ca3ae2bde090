"""The tutorial: what it says is what happens, on few small images.

Its later runs and checks are those of the pages on each kind of plugin, whose tests run them; here they are parsed.
"""

from __future__ import annotations

import pytest

from bench import load_records
from tests.helpers.commands import SMALL
from tests.helpers.pages import blocks, lines_of
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
FEW = [*SMALL, "--limit", "60", "--seeds", "0", "--budgets", "0.7,1", "--no-report"]


@pytest.mark.slow
def test_the_commands_of_the_page_work(bench, tmp_path):
    found = [words[1:] for block in blocks(PAGE) for words in lines_of(block.text)]
    assert [words[0] for words in found] == ["run", "show", *["new", "check", "run"] * 3, "run"]
    assert found[0] == ["run"] and found[1][1] == "mnist5k"
    for words in (["run", *FEW], ["show", "digits", *found[1][2:]], *(words for words in found if words[0] == "new")):
        done = bench(*words)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    assert "jeidnn" in set(load_records(tmp_path / "runs")["method"])
    made = {f"{name}.py" for name in ("my_rule", "my_data", "my_net")}
    assert made <= {path.name for path in tmp_path.iterdir()} and made == {w for ws in found for w in ws} & made
