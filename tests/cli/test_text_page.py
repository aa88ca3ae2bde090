"""The page on text: what it says is what happens, with a made-up backbone in place of the pretrained one."""

from __future__ import annotations

import re

import pytest

from bench import datasets
from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "text.md"
TINY = "tests.helpers.words:tiny"


def test_the_first_file_of_the_page_is_a_dataset(tmp_path):
    block = next(found for found in blocks(PAGE) if found.file)
    (tmp_path / block.file).write_text(block.text)
    found = datasets.load(f"csv:{tmp_path / block.file}")
    assert found.class_names == ("ham", "spam") and found.read([0]) == ["Free money now, just click here"]


@pytest.mark.slow
def test_every_block_of_the_page_runs(bench, tmp_path):
    shell = Shell(bench)
    for block in blocks(PAGE):
        if block.file:
            continue
        text = block.text.replace("minilm_l6", f"{TINY} --no-report --budgets 0.7,1")
        if "load_policy" in text:
            shell.run(re.search(r"after: (.*)", block.text)[1].replace("minilm_l6", TINY))
            text = text.replace('load_policy("policy")', f'load_policy("policy", backbone="{TINY}")')
        shown = shell.run(text, block.language)
    assert shown.strip() in {str([a, b]) for a in ("spam", "ham") for b in ("spam", "ham")}
