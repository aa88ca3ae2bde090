"""The pages on networks and on importing logits: what they say is what happens."""

from __future__ import annotations

import pytest

from bench import load_records
from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGES = [ROOT / "docs" / name for name in ("networks.md", "external-logits.md")]
SPEED = {
    "bench run": "bench run --no-report --budgets 0.7",
    "--dataset digits": "--dataset digits --limit 200",
    "--weights random": "--weights random --image-size 16",
}
NAMES = {"tuned_digits", "tuned_exits_digits", "joint_digits"}


@pytest.mark.slow
def test_every_block_of_the_pages_runs(bench, tmp_path):
    """Only smaller: on few small images."""
    shell = Shell(bench)
    for block in (block for page in PAGES for block in blocks(page)):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
            continue
        text = block.text
        for slow, fast in SPEED.items():
            text = text.replace(slow, fast)
        shell.run(text)
    records = load_records(tmp_path / "runs")
    assert set(records["backbone"]) == {f"cifar_resnet20_{name}" for name in NAMES} | {"external:mine"}
    assert set(records["protocol"]) == {"v1", "external"} and set(records["status"]) <= {"ok", "infeasible"}
