"""The page on exporting: what it says is what happens."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "export.md"
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def test_the_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text())
    assert all((PAGE.parent / link).exists() for link in links)


@pytest.mark.slow
def test_every_block_of_the_page_runs(environment, tmp_path):
    tools, folder = tmp_path / "tools", tmp_path / "work"
    tools.mkdir()
    folder.mkdir()
    for name, words in {"bench": "-m bench", "python": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    Image.new("RGB", (40, 30), "white").save(folder / "image.png")
    variables = {**environment, "PATH": f"{tools}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    shown = []
    for block in BLOCK.finditer(PAGE.read_text()):
        text = "\n".join(line for line in block["text"].splitlines() if "pip install" not in line)
        if "--onnx" in text:
            pytest.importorskip("onnxscript")
            pytest.importorskip("onnxruntime")
        command = ["sh", "-ec", text] if block["language"] == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        shown.append(done.stdout)
    assert "on all 359 test images" in shown[0] and "test: accuracy" in shown[1] and "image.png: " in shown[2]
    assert (folder / "policy" / "stage_0.onnx").is_file()
