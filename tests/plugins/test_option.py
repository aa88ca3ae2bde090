"""`--plugin` from end to end, and what `bench list` tells of one name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import config, load_records
from bench.errors import UserError
from bench.plugins import scaffold
from tests.helpers.commands import SMALL


def test_paths_are_repeatable_or_comma_separated_and_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (["a.py", "b.py"], "a.py, b.py", ["a.py,b.py"], [Path("a.py"), "b.py"]):
        assert config.build({"plugin": value}, "test").plugin == (tmp_path / "a.py", tmp_path / "b.py")
    assert config.build({"plugin": "~/a.py"}, "test").plugin == (Path.home() / "a.py",)
    assert config.build({}, "test").plugin == ()
    with pytest.raises(UserError, match="'plugin'"):
        config.build({"plugin": 3}, "test")


@pytest.mark.slow
def test_a_method_in_a_file_runs_and_its_records_do_not_say_where_it_lies(bench, tmp_path):
    scaffold.write("my_rule", tmp_path / "mine")
    run = ["run", *SMALL, "--limit", "60", "--seeds", "0", "--budgets", "0.6,1", "--no-report"]
    run += ["--plugin", "mine/my_rule.py"]
    done = bench(*run, "--methods", "my_rule,my_rule[growth=2]")
    assert done.returncode == 0, done.stderr
    records = load_records(tmp_path / "runs")
    mine = records[records["kind"] == "method"]
    assert set(mine["method"]) == {"my_rule", "my_rule[growth=2.0]"} and set(mine["status"]) == {"ok"}
    texts = "".join(p.read_text() for p in (tmp_path / "runs").rglob("*.json"))
    assert str(tmp_path) not in texts and "exitbench_plugin" not in texts
    (tmp_path / "run.yaml").write_text("plugin: [mine/my_rule.py]\nmethods: [my_rule]\n")
    again = bench("run", "-c", "run.yaml", *run[1:-2])
    assert again.returncode == 0 and "nothing new" in again.stdout, again.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--plugin", "absent.py"], "absent.py' cannot be read"),
        (["--plugin", "bad.py"], "bad.py', line 3, is broken: NameError"),
        (["--plugin", "my_rule.py", "--methods", "my_rul"], "Did you mean 'my_rule'"),
        (["--plugin", "my_rule.py", "--methods", "my_rule[growth=0]"], "growth=0.0 must be a number above 0"),
        (["--plugin", "my_rule.py,copy.py"], "Two methods are called 'my_rule'"),
    ],
)
def test_mistakes_are_one_sentence_and_code_2(bench, tmp_path, words, says):
    scaffold.write("my_rule", tmp_path)
    (tmp_path / "copy.py").write_text((tmp_path / "my_rule.py").read_text())
    (tmp_path / "bad.py").write_text("\n\nx = y\n")
    done = bench("run", *SMALL, *words)
    assert done.returncode == 2 and says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and not done.stdout.strip()


def test_the_list_shows_a_file_and_all_that_one_method_says_of_itself(bench, tmp_path):
    scaffold.write("my_rule", tmp_path)
    assert "(my_rule.py)" in bench("list", "methods", "--plugin", "my_rule.py").stdout
    shown = bench("list", "methods", "my_rule", "--plugin", "my_rule.py").stdout
    assert "how the code differs from the paper" in shown
    assert "growth  float, default 1.0, searched 0.5 to 2 on a log scale" in shown
    found = json.loads(bench("list", "methods", "my_rule", "--plugin", "my_rule.py", "--json").stdout)
    assert [p["name"] for p in found["parameters"]] == ["heads", "growth"] and found["from"] == "my_rule.py"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["methods", "msdnet_thresh"], "ratios  fine | published, default fine"),
        (["datasets", "cifar100lt"], "imbalance  int, default 100, allowed ≥ 1 and ≤ 450"),
        (["datasets", "cifar10"], "No parameters."),
        (["backbones", "resnet18"], "exits"),
    ],
)
def test_every_kind_tells_its_parameters(bench, words, says):
    done = bench("list", *words)
    assert done.returncode == 0 and says in done.stdout, done.stderr


def test_an_unknown_name_has_a_nearest_one(bench):
    done = bench("list", "methods", "jeidn")
    assert done.returncode == 2 and "Did you mean 'jeidnn'" in done.stderr
