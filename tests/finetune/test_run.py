"""A network is trained on what a run never holds out, goes on after an interruption, and is a backbone at once."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench import backbones, datasets, heads, protocol
from bench.bank.build import build
from bench.bank.source import Request, Source
from bench.errors import UserError
from bench.finetune import Progress, finetune
from bench.finetune import images as module
from bench.finetune.run import schedule
from bench.plugins import registry
from bench.plugins.registry import Plugin
from bench.plugins.scaffold import write as write_plugin
from tests.helpers.networks import HEAD, SMALL


def test_rates_rise_along_a_line_and_fall_along_a_cosine():
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[55] == pytest.approx(0.5 * (1 + math.cos(math.pi * 45 / 90)))
    assert max(rates) == rates[10] == 1.0 and rates[-1] < 0.001


def test_neither_pool_nor_test_is_ever_looked_at(wanted, tmp_path, monkeypatch):
    looked: list[np.ndarray] = []
    plain = module.squares
    monkeypatch.setattr(module, "squares", lambda data, rows, size: looked.append(rows) or plain(data, rows, size))
    finetune(wanted(epochs=1), tmp_path / "a", workers=0)
    data = datasets.load("digits")
    splits = protocol.split(data, tuned=True, limit=60)
    learnt, held = looked
    assert not set(learnt) & set(held) and sorted([*learnt, *held]) == sorted(splits.train)
    assert len(held) == 10 and not set(splits.train) & {*splits.pool, *splits.test}


def test_after_an_interruption_the_network_is_the_same(wanted, tmp_path):
    whole = finetune(wanted(augment=5), tmp_path / "whole", workers=0)

    def stop(done, total, value):
        if done == 9:  # in the second epoch of six steps
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(wanted(augment=5), tmp_path / "cut", workers=0, progress=Progress(stop), checkpoint_seconds=0)
    assert (tmp_path / "cut" / "checkpoint.pt").is_file() and not (tmp_path / "cut" / "network.json").exists()
    done: list[int] = []
    again = finetune(wanted(augment=5), tmp_path / "cut", workers=0, progress=Progress(lambda d, *_: done.append(d)))
    assert done[0] == 9
    one, other = (load_file(folder / "network.safetensors") for folder in (whole, again))
    assert one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
    assert sorted(p.name for p in again.iterdir()) == ["network.json", "network.safetensors", "training.png"]


def test_a_finished_network_is_not_trained_again(wanted, trained, tmp_path):
    before = (trained / "network.json").read_bytes()
    told = json.loads(before)
    assert told["name"] == "cifar_resnet20_joint_digits" and told["images"] == {"train": 50, "val": 10}
    config = wanted(epochs=1, batch_size=16, lr=2e-3)
    assert finetune(config, trained, workers=0, progress=Progress(lambda *_: pytest.fail("trained again"))) == trained
    assert (trained / "network.json").read_bytes() == before


def test_a_folder_of_something_else_is_left_alone(wanted, trained, tmp_path):
    with pytest.raises(UserError, match="a network of another run"):
        finetune(wanted(seed=5), trained, workers=0)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UserError, match=r"contains other files \('photo.jpg'\)"):
        finetune(wanted(), tmp_path, workers=0)


def test_an_unfinished_run_of_other_settings_is_told_of(wanted, tmp_path):
    def stop(done, total, value):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(wanted(), tmp_path / "a", workers=0, progress=Progress(stop))
    with pytest.raises(UserError, match=r"unfinished run with other settings \(recipe\)"):
        finetune(wanted(lr=0.5), tmp_path / "a", workers=0)


def test_a_loss_that_explodes_is_a_sentence(wanted, tmp_path):
    with pytest.raises(UserError, match=r"no longer finite.*Lower --lr"):
        finetune(wanted(lr=1e3, optimiser="sgd", epochs=30), tmp_path / "a", workers=0)


def test_it_is_a_backbone_at_once_and_its_pool_is_the_protocols(trained, tmp_path):
    source = Source(Request("digits", str(trained), limit=60))
    plan = source.plan
    assert plan.splits.protocol == "v1" and plan.own_head and plan.native and plan.preparation.size == 8
    task = build(plan, tmp_path).task(0)
    answers = heads.fit("native", task).logits(task.val)
    layer = plan.backbone.native[1]
    torch.testing.assert_close(answers[:, 1], layer(task.val.features[1]))
    assert task.val.features[0].shape[1] == 16 and len(task.macs) == 3


def test_other_data_has_been_seen_and_other_classes_get_a_probe(trained):
    network = backbones.load(str(trained))
    assert network.seen == {"digits"} and network.tuned.before == frozenset()
    data = datasets.load("digits")
    assert not protocol.has_seen(data, network.seen, network.tuned)
    assert protocol.has_seen(replace(data, name="digits[other=1]"), network.seen, network.tuned)
    other = backbones.load(str(trained), num_classes=7)
    assert other.num_classes == 7 and not len(other.native) and other.head_for is None
    assert other.weights_digest != network.weights_digest


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "network.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "network.json").write_text('{"format": 9}'), "has format 9"),
        (lambda f: (f / "network.json").write_text('{"format": 1}'), "is not valid: name"),
        (lambda f: (f / "network.safetensors").write_bytes(b"x"), "is not the file that network.json describes"),
        (lambda f: (f / "network.safetensors").unlink(), "cannot be read"),
    ],
)
def test_damaged_folders_are_sentences(trained, tmp_path, damage, says):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    damage(folder)
    with pytest.raises(UserError, match=says):
        backbones.load(str(folder))


def test_what_a_trained_network_fixes_cannot_be_asked_for_otherwise(trained):
    with pytest.raises(UserError, match="has its own weights"):
        backbones.load(str(trained), weights="random")
    with pytest.raises(UserError, match="trained at fixed positions"):
        backbones.load(str(trained), exits="1,3")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"exits": "joined"}, "'joined' is not a valid value for exits"),
        ({"lr": 0.0}, "lr 0 is not valid"),
        ({"exits": "none", "distil": 1.0}, "need heads at the exits"),
        ({"exit_weights": (1.0, -1.0, 1.0)}, "cannot be negative"),
        ({"exit_weights": (1.0, 1.0)}, "has 3 exits; give a weight for each"),
    ],
)
def test_mistakes_are_sentences(wanted, tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        finetune(wanted(**options), tmp_path / "a", workers=0)


def test_a_network_of_others_is_trained_if_it_is_registered(wanted, tmp_path, write, monkeypatch):
    write("nets_of_mine", HEAD + SMALL)
    asked = replace(wanted(exits="none"), backbone="nets_of_mine:small", image_size=None, weights=None)
    with pytest.raises(UserError, match="'nets_of_mine:small' is not a registered backbone"):
        finetune(asked, tmp_path / "a", workers=0)
    monkeypatch.syspath_prepend(".")
    plugin = Plugin("backbones", "mine", "nets_of_mine:small", "a-package")
    monkeypatch.setitem(registry._files["backbones"], "mine", plugin)
    folder = finetune(replace(asked, backbone="mine"), tmp_path / "a", workers=0)
    b = backbones.load(str(folder), num_classes=10)
    assert (b.head_for, b.image_size, b.num_exits) == ("digits", 16, 3) and b.code
    told = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps(told | {"backbone": "nets_of_mine:small"}))
    with pytest.raises(UserError, match="There is no backbone 'nets_of_mine'"):
        backbones.load(str(folder))


@pytest.mark.slow
def test_datasets_and_backbones_of_plugin_files_are_trained_on_in_every_process(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_files", {kind: dict(held) for kind, held in registry._files.items()})
    files = [
        write_plugin("data_of_mine", tmp_path, "datasets")[0],
        write_plugin("net_of_mine", tmp_path, "backbones")[0],
    ]
    asked = replace(
        wanted(epochs=1, exits="none"), dataset="data_of_mine", backbone="net_of_mine", image_size=None, weights=None,
        plugin=tuple(files),
    )  # fmt: skip
    folder = finetune(asked, tmp_path / "a", workers=0, devices=2)
    assert json.loads((folder / "network.json").read_text())["backbone"] == "net_of_mine"
