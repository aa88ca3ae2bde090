"""The page on exporting: what it says is what happens."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.helpers.commands import SMALL
from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "export.md"
SMALLER = {
    "bench run": " ".join(["bench run --backbone cifar_resnet20", *SMALL[4:]]),
    "bench export digits/efficientnet_lite0": " ".join(["bench export digits/cifar_resnet20", *SMALL[4:]]),
}


@pytest.mark.slow
@pytest.mark.usefixtures("operators_once")
def test_every_block_of_the_page_runs(small_bank, bench, tmp_path):
    """Only smaller: with a network of three exits."""
    shell = Shell(bench)
    Image.new("RGB", (40, 30), "white").save(tmp_path / "image.png")
    shown = []
    for block in blocks(PAGE):
        text = "\n".join(line for line in block.text.splitlines() if "pip install" not in line)
        for whole, part in SMALLER.items():
            text = text.replace(whole, part)
        if "--onnx" in text:
            pytest.importorskip("onnxruntime")
        shown.append(shell.run(text, block.language))
    assert "test samples" in shown[0] and "test: accuracy" in shown[1] and "image.png: " in shown[-1]
    assert (tmp_path / "policy" / "stage_0.onnx").is_file()
