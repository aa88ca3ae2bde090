from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bench.check.examine import checks
from bench.cli import app
from tests.helpers.plugins import write_plugin


def bench(*words: object):
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["check", *map(str, words)])


@pytest.fixture(autouse=True)
def _own_plugins(monkeypatch):
    from bench.plugins import registry

    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})


def test_a_method_that_conforms_ends_with_0_and_a_table_of_all_checks():
    done = bench("entropy_thresh")
    assert done.exit_code == 0
    assert f"entropy_thresh conforms: {len(checks())} of {len(checks())} checks passed" in done.stdout
    assert "causality" in done.stdout and "per operating point" in done.stdout


def test_a_method_that_breaks_the_contract_ends_with_1_and_says_what_to_change(tmp_path):
    path = write_plugin(tmp_path, honest=False)
    done = bench("--plugin", path, "to_the_end", "--json")
    assert done.exit_code == 1
    (row,) = json.loads(done.stdout)
    assert row["method"] == "to_the_end" and not row["conforms"]
    by_name = {check["name"]: check for check in row["checks"]}
    assert by_name["budgets"]["status"] == "fail" and "mean cost on task.val" in by_name["budgets"]["message"]
    assert by_name["costs"]["status"] == "pass" and by_name["costs"]["seconds"] >= 0


def test_several_methods_show_only_what_is_wrong(tmp_path):
    path = write_plugin(tmp_path, honest=False)
    done = bench("--plugin", path, "to_the_end,global_thresh")
    assert done.exit_code == 1
    assert "to_the_end does not conform" in done.stdout and "global_thresh conforms" in done.stdout
    assert "budgets" in done.stdout and "causality" not in done.stdout


def test_all_is_every_registered_method(monkeypatch, tmp_path):
    from bench.cli import check
    from bench.plugins import registry
    from bench.plugins.files import load_file

    path = write_plugin(tmp_path, honest=True)
    load_file(path)
    names = [name for _, name in check._subjects(["all", "to_the_end"], None)]
    assert names == list(registry.plugins("methods")) and "to_the_end" in names


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("class_means", "methods"),
        ("lens[ridge=1]", "heads"),
        ("folder:here", "datasets"),
        ("resnet18", "backbones"),
        ("my_nets:small[depth=2]", "backbones"),
    ],
)
def test_a_name_is_of_the_first_kind_that_knows_it(name, kind):
    from bench.check.kinds import kind_of

    assert kind_of(name) == kind


def test_a_kind_can_be_chosen_and_names_of_several_kinds_are_checked_together():
    done = bench("--kind", "head", "class_means", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)[0]["head"] == "class_means"
    done = bench("native", "digits", "cifar_resnet20[weights=random]")
    assert done.exit_code == 0, done.stdout
    assert [line.split(" conforms")[0] for line in done.stdout.splitlines() if " conforms" in line] == [
        "native",
        "digits",
        "cifar_resnet20[weights=random]",
    ]


def test_parameters_are_part_of_a_name():
    assert bench("msdnet_thresh[ratios=published]").exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["entropy_tresh"], "There is no method, head, dataset or backbone 'entropy_tresh'. Did you mean"),
        (["--kind", "heads", "plain"], "Did you mean 'head'"),
        (["--kind", "head", "jeidnn"], "There is no head 'jeidnn'"),
        (["--kind", "dataset", "all"], "'all' is for methods and heads"),
        (["no_module:factory"], "no Python module 'no_module'"),
        (["msdnet_thresh[ratio=fine]"], "Did you mean 'ratios'"),
        (["msdnet_thresh[heads=plane]"], "Did you mean 'plain'"),
        (["msdnet_thresh[ratios"], "never closed"),
        (["--plugin", "absent.py", "all"], "absent.py"),
    ],
)
def test_a_wrong_command_ends_with_2_and_one_sentence(words, says):
    done = bench(*words)
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())
