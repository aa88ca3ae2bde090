"""The page on text: what it says is what happens, with a made-up backbone in place of the pretrained one."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bench import datasets
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "text.md"
BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
TINY = "tests.helpers.words:tiny"


def test_the_first_file_of_the_page_is_a_dataset(tmp_path):
    block = next(found for found in BLOCK.finditer(PAGE.read_text()) if found["file"])
    (tmp_path / block["file"]).write_text(block["text"])
    found = datasets.load(f"csv:{tmp_path / block['file']}")
    assert found.class_names == ("ham", "spam") and found.read([0]) == ["Free money now, just click here"]


@pytest.mark.slow
def test_every_block_of_the_page_runs(environment, tmp_path):
    (tmp_path / "bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    (tmp_path / "bench").chmod(0o755)
    variables = {**environment, "PATH": f"{tmp_path}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["file"]:
            continue
        text = block["text"].replace("minilm_l6", f"{TINY} --no-report --budgets 0.7,1")
        if "load_policy" in text:
            export = re.search(r"after: (.*)", block["text"])[1].replace("minilm_l6", TINY)
            subprocess.run(["sh", "-ec", export], cwd=tmp_path, env=variables, check=True, capture_output=True)
            text = text.replace('load_policy("policy")', f'load_policy("policy", backbone="{TINY}")')
        command = ["sh", "-ec", text] if block["language"] == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    assert done.stdout.strip() in {str([a, b]) for a in ("spam", "ham") for b in ("spam", "ham")}
