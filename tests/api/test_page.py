"""The page on the Python interface: what it says is what happens."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest

from bench.plugins import registry
from tests.helpers.commands import SMALL_CONFIG
from tests.helpers.paths import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
SMALLER = {
    '"digits", "efficientnet_lite0", image_size=32': f'"digits", "cifar_resnet20", weights="random", '
    f'exits="{SMALL_CONFIG["exits"]}", threads=1'
}


@pytest.mark.slow
def test_every_block_of_the_page_runs(small_bank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry._files})
    monkeypatch.setitem(sys.modules, "page", page := ModuleType("page"))
    names = vars(page)
    names["BANK"] = str(small_bank.path)
    for block in BLOCKS:
        text = block
        for long, short in SMALLER.items():
            text = text.replace(long, short)
        exec(compile(text, "docs/python.md", "exec"), names)
    assert set(names["mine"]["status"]) == {"ok"} and names["mine"]["method"].nunique() == 2
    assert set(names["frame"]["status"]) == {"ok"} and (tmp_path / "runs").is_dir()
    assert names["board"]["method"].tolist()[-3:] == ["static hull", "plain backbone", "oracle"]
    assert all(axes.lines and axes.get_legend() for axes in names["axes"].flat)
    assert (tmp_path / "charts.png").stat().st_size > 10_000
    names["plt"].close(names["figure"])
    assert len(BLOCKS) == 5
