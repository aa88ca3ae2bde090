"""The pages on adding head recipes and datasets: what they say is what happens, and they list every check."""

from __future__ import annotations

import re
import shlex

import pytest

from bench.check.kinds import checks
from tests.helpers.pages import blocks
from tests.helpers.paths import ROOT

PAGES = {"heads": ROOT / "docs" / "adding-heads.md", "datasets": ROOT / "docs" / "adding-a-dataset.md"}


@pytest.mark.parametrize("kind", PAGES)
def test_the_page_lists_every_check(kind):
    section = PAGES[kind].read_text().partition("## 2. Check it")[2].partition("## 3.")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [check.name for check in checks(kind)]


@pytest.mark.parametrize(("kind", "file"), [("heads", "my_heads.py"), ("datasets", "my_data.py")])
def test_the_commands_of_the_page_work(bench, tmp_path, kind, file):
    """Run every block; what `bench run` would do is planned, with a network that needs no weights."""
    cheap = ["--backbone", "cifar_resnet20", "--weights", "random", "--dry-run"]
    ran = []
    for block in blocks(PAGES[kind]):
        if block.language == "sh":
            _, *words = shlex.split(block.text)
            done = bench(*words, *(cheap if words[0] == "run" else []))
            assert done.returncode == 0, block.text + done.stdout + done.stderr
            ran.append(words[0])
        elif block.language == "python":
            assert block.text in (tmp_path / file).read_text()
    assert ran == ["new", "check", "run"]
