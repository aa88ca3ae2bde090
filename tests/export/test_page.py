"""The page on exporting: what it says is what happens."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "export.md"


@pytest.mark.slow
def test_every_block_of_the_page_runs(environment, tmp_path):
    shell = Shell(tmp_path, environment)
    Image.new("RGB", (40, 30), "white").save(shell.folder / "image.png")
    shown = []
    for block in blocks(PAGE):
        text = "\n".join(line for line in block.text.splitlines() if "pip install" not in line)
        if "--onnx" in text:
            pytest.importorskip("onnxscript")
            pytest.importorskip("onnxruntime")
        shown.append(shell.run(text, block.language))
    assert "on all 359 test samples" in shown[0] and "test: accuracy" in shown[1] and "image.png: " in shown[2]
    assert (shell.folder / "policy" / "stage_0.onnx").is_file()
