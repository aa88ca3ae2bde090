"""The page on adding a method, and the example package: what they say is what happens."""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from bench import load_records
from bench.plugins import scaffold
from tests.helpers.commands import SMALL
from tests.helpers.pages import Shell, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "adding-a-method.md"
EXAMPLE = ROOT / "examples" / "plugin"
SPEED = {
    "--image-size 32": "--image-size 32 --exits 4,10 --limit 200 --seeds 0 --budgets 0.6,1",
    "my_rule,msdnet_thresh": "my_rule,msdnet_thresh --no-report",
    "pytest test_my_rule.py": "pytest test_my_rule.py -k 'gap or share or costs'",  # `bench check` has run all others
}


def test_the_example_is_what_new_method_writes():
    module = "exitbench_logit_gap"
    assert (EXAMPLE / f"{module}.py").read_text() == scaffold.source("logit_gap")
    assert (EXAMPLE / f"test_{module}.py").read_text() == scaffold.test("logit_gap", module)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_block_of_the_page_runs(bench, tmp_path):
    """Only smaller: on few images, three exits and one seed, with one report."""
    shell = Shell(bench)
    for block in blocks(PAGE):
        if block.language == "sh":
            text = block.text
            for slow, fast in SPEED.items():
                assert slow in PAGE.read_text()
                text = text.replace(slow, fast)
            shell.run(text)
        elif block.file:
            (tmp_path / block.file).write_text(block.text)
        else:
            assert block.text in (tmp_path / "my_rule.py").read_text()
    page = (tmp_path / "runs" / "report" / "digits" / "efficientnet_lite0" / "leaderboard.md").read_text()
    assert all(name in page for name in ("my_rule", "agree", "msdnet_thresh"))
    assert set(load_records(tmp_path / "runs")["status"]) <= {"ok", "infeasible"}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_example_installs_into_a_fresh_environment_and_runs(environment, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    home = tmp_path / "env"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages()]
    (packages / "of_the_tests.pth").write_text(f"{ROOT}\n" + "".join(lines))

    def run(*words: object) -> subprocess.CompletedProcess:
        command = [str(python), "-m", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "-q", str(source)], check=True, cwd=tmp_path, timeout=300)
    assert (packages / "exitbench_logit_gap.py").exists()
    (row,) = [r for r in json.loads(run("bench", "list", "methods", "--json").stdout) if r["name"] == "logit_gap"]
    assert row["from"] == "exitbench-logit-gap" and row["broken"] is None
    where = ["--seeds", "0", "--budgets", "0.6,1", "--no-report"]
    run("bench", "run", *SMALL, "--methods", "logit_gap", *where)
    records = load_records(tmp_path / "runs")
    assert set(records.loc[records["method"] == "logit_gap", "status"]) == {"ok"}
