"""The page on exporting: what it says is what happens."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "export.md"
SMALLER = {command: f"{command} --image-size 32 --exits 4,10 --limit 200" for command in ("bench run", "bench export")}


@pytest.mark.slow
def test_every_block_of_the_page_runs(bench, tmp_path):
    """Only smaller: with three of the seven exits, on fewer images."""
    shell = Shell(bench)
    Image.new("RGB", (40, 30), "white").save(tmp_path / "image.png")
    shown = []
    for block in blocks(PAGE):
        text = "\n".join(line for line in block.text.splitlines() if "pip install" not in line)
        for whole, part in SMALLER.items():
            text = text.replace(whole, part)
        if "--onnx" in text:
            pytest.importorskip("onnxscript")
            pytest.importorskip("onnxruntime")
        shown.append(shell.run(text, block.language))
    assert "on all 200 test samples" in shown[0] and "test: accuracy" in shown[1] and "image.png: " in shown[-1]
    assert (tmp_path / "policy" / "stage_0.onnx").is_file()
