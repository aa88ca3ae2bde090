"""`bench export` from the command line."""

from __future__ import annotations

import json

import pytest

from bench import load_policy
from bench.errors import UserError
from bench.export.setting import split_setting
from tests.helpers.commands import SMALL

HOW = ["--weights", "random", "--exits", "2,5", "--threads", "1"]


def words(*more, setting="digits/cifar_resnet20", method="global_thresh", budget="0.6"):
    return ["export", setting, method, budget, "-o", "policy", *HOW, *more]


def test_a_policy_is_exported_again_and_replaced(small_bank, bench, tmp_path):
    done = bench(*words())
    assert done.returncode == 0, done.stderr
    assert "has no record" in done.stdout and "global_thresh, budget 0.6" in done.stdout
    assert {p.name for p in (tmp_path / "policy").iterdir() if p.suffix} == {
        "policy.json", "policy.safetensors", "backbone.safetensors",
    }  # fmt: skip
    assert bench(*words("--without-backbone", "--seed", "1", method="entropy_thresh")).returncode == 0
    assert not (tmp_path / "policy" / "backbone.safetensors").exists()
    loaded = load_policy(tmp_path / "policy")
    assert loaded.contents.method == "entropy_thresh" and loaded.contents.seed == 1
    with pytest.raises(UserError, match="not those that the policy was fitted on"):
        load_policy(tmp_path / "policy", backbone="cifar_resnet32")


@pytest.mark.slow
def test_it_is_the_policy_of_the_stored_record(small_bank, bench, tmp_path):
    run = ["run", *SMALL, "--methods", "jeidnn,patience", "--seeds", "1", "--budgets", "0.6,0.8,1", "--no-report"]
    assert bench(*run).returncode == 0
    for method in ("jeidnn", "patience"):
        done = bench(*words("--seed", "1", method=method, budget="0.8"))
        assert "on all 359 test samples" in done.stdout, done.stdout
        record = json.loads((tmp_path / "policy" / "policy.json").read_text())["record"]
        (path,) = (tmp_path / "runs").rglob(f"{record}.json")
        assert json.loads(path.read_text())["point"]["point"] == "budget=0.8"
    stored = json.loads(path.read_text())
    stored["outcomes"]["exit_index"], stored["outcomes"]["correct"] = "eJwDAAAAAAE=", "eJwDAAAAAAE="
    stored["outcomes"]["samples"] = 0
    path.write_text(json.dumps(stored))
    done = bench(*words("--seed", "1", method="patience", budget="0.8"))
    assert done.returncode == 0 and "It differs from the stored record" in done.stdout


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (words(budget="0.01"), "no policy to export"),
        (words(budget="half"), "budgets"),
        (words(budget="0.5,0.6"), "one budget"),
        (words(method="global_tresh"), "Did you mean 'global_thresh'"),
        (words(setting="digits/cifar_resnett20"), "Did you mean 'cifar_resnet20'"),
        (words(setting="digitss/cifar_resnet20"), "Did you mean 'digits'"),
        (words("--seed", "-1"), "seed"),
        (["export", "digits"], "METHOD"),
        (["export", "digits", "jeidnn", "0.5"], "--output"),
    ],
)
def test_a_mistake_is_a_sentence(small_bank, bench, given, says):
    done = bench(*given)
    assert done.returncode == 2 and says in " ".join(done.stderr.split()), done.stderr


def test_a_folder_of_others_is_left_alone(small_bank, bench, tmp_path):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "thesis.tex").write_text("x")
    done = bench(*words())
    assert done.returncode == 2 and "thesis.tex" in done.stderr
    assert [p.name for p in (tmp_path / "policy").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("cifar100lt/efficientnet_lite0", ("cifar100lt", "efficientnet_lite0")),
        ("cifar100lt[imbalance=50]/timm:resnet18", ("cifar100lt[imbalance=50]", "timm:resnet18")),
        ("cifar10/timm:hf-hub:a/b", ("cifar10", "timm:hf-hub:a/b")),
        ("folder:/data/pets/resnet18", ("folder:/data/pets", "resnet18")),
        ("folder:/data/pets", ("folder:/data/pets", None)),
        ("hf:org/name", ("hf:org/name", None)),
        ("digits", ("digits", None)),
    ],
)
def test_a_setting_is_divided_before_the_backbone(text, parts):
    assert split_setting(text) == parts


PLUGIN = """
from bench.methods.global_thresh import GlobalThreshold
from bench.rules import Pointwise, ThresholdPolicy
import torch
from bench import heads

def gap(logits):
    return logits.double().amax(-1)

class Mine(GlobalThreshold):
    '''Mine.'''

    name = "mine"
    version = 1

    def fit(self, task, budgets):
        fitted = heads.fit("plain", task)
        rows = torch.full((task.num_exits,), -torch.inf)
        return [ThresholdPolicy(fitted, Pointwise({score}), rows, task.num_classes) for _ in budgets]
"""


def test_a_policy_of_a_plugin_file_needs_that_file(small_bank, bench, tmp_path, monkeypatch):
    from bench.plugins import registry

    (tmp_path / "mine.py").write_text(PLUGIN.format(score="gap"))
    done = bench(*words("--plugin", "mine.py", method="mine"))
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry._files})
    with pytest.raises(UserError, match="plugins="):
        load_policy(tmp_path / "policy")
    assert load_policy(tmp_path / "policy", plugins=[tmp_path / "mine.py"]).contents.method == "mine"
    (tmp_path / "mine.py").write_text(PLUGIN.format(score="lambda x: x.double().amax(-1)"))
    done = bench(*words("--plugin", "mine.py", method="mine"))
    assert done.returncode == 2 and "is a function" in done.stderr
