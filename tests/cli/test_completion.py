"""Values are completed by the shell, and nothing heavy is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.cli import completion

SPY = """
import sys
from bench.cli import app
try:
    app(prog_name="bench")
finally:
    print("HEAVY", *sorted({"torch", "pandas", "numpy", "pyarrow", "matplotlib"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("bench run --methods jei", "jeidnn"),
        ("bench run --methods eefp,jei", "eefp,jeidnn"),
        ("bench run --dataset bank", "banking77"),
        ("bench plan --backbone minil", "minilm_l6"),
        ("bench show bank", "banking77/minilm_l6"),
        ("bench run --methods msdnet_thresh[heads=zt", "msdnet_thresh[heads=ztw"),
        ("bench run --dtype float1", "float16"),
        ("bench list heads zt", "ztw"),
        ("bench run --suite cor", "core"),
    ],
)
def test_a_shell_gets_the_values_that_fit(environment, tmp_path, words, wanted):
    (tmp_path / "results" / "banking77" / "minilm_l6").mkdir(parents=True)
    asked = {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", SPY], cwd=tmp_path, env=os.environ | environment | asked, capture_output=True, text=True
    )
    assert done.stdout.split() == [wanted], done.stderr
    assert done.stderr.splitlines()[-1] == "HEAVY"


def test_parameters_in_brackets_are_left_alone():
    complete = completion.names("methods", "all")
    assert complete("jeidnn[preset=paper,je") == [] and complete("jeidnn[preset=paper],je") == [
        "jeidnn[preset=paper],jeidnn"
    ]
    assert "all" in complete("") and complete("no_such") == []
