"""The page on networks: what it says is what happens."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bench import load_records
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "networks.md"
BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
SPEED = {
    "bench run": "bench run --no-report --budgets 0.7",
    "--weights random": "--weights random --image-size 16 --limit 200",
}


@pytest.mark.slow
def test_every_block_of_the_page_runs(environment, tmp_path):
    """Only smaller: on few small images."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, words in {"bench": "-m bench", "python": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    variables = {**environment, "PATH": f"{tools}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"])
            continue
        text = block["text"]
        for slow, fast in SPEED.items():
            text = text.replace(slow, fast)
        done = subprocess.run(["sh", "-e", "-c", text], cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, text + done.stdout + done.stderr
    records = load_records(tmp_path / "runs")
    assert set(records["backbone"]) == {"cifar_resnet20_tuned_digits", "cifar_resnet20_joint_digits", "external:mine"}
    assert set(records["protocol"]) == {"v1", "external"} and set(records["status"]) <= {"ok", "infeasible"}
