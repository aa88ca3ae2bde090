"""A trained network is a start: its folder is trained further, on images that neither training's runs hold out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench import backbones, datasets, protocol
from bench.bank.source import Request, Source
from bench.errors import UserError
from bench.finetune import finetune
from bench.finetune import images as module


@pytest.fixture(scope="module")
def looked():
    """The rows of images that trainings of this module read."""
    return []


@pytest.fixture(scope="module")
def stages(wanted, tmp_path_factory, looked):
    """The folder of a tuned network, and that of heads on it."""
    folder = tmp_path_factory.mktemp("networks")
    plain = module.squares
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "squares", lambda data, rows, size: looked.append(rows) or plain(data, rows, size))
        tuned = finetune(wanted(exits="none", epochs=1), folder / "tuned", workers=0)
        frozen = finetune(second(wanted, tuned, exits="frozen"), folder / "frozen", workers=0)
    return tuned, frozen


def second(wanted, folder, **options):
    return replace(wanted(**{"epochs": 1, "seed": 1} | options), backbone=str(folder), image_size=None, weights=None)


def test_the_network_stays_as_it_is_and_heads_learn(stages):
    tuned, frozen = (backbones.load(str(folder)) for folder in stages)
    assert not len(tuned.native) and len(frozen.native) == 2
    for part in ("trunk", "head"):
        one, other = (getattr(network, part).state_dict() for network in (tuned, frozen))
        assert one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_its_description_names_architecture_and_start(stages):
    tuned, frozen = stages
    told = json.loads((frozen / "network.json").read_text())
    assert told["backbone"] == json.loads((tuned / "network.json").read_text())["backbone"] == "cifar_resnet20"
    assert told["started_from"] == backbones.load(str(tuned)).weights_digest
    assert told["started_as"] == "cifar_resnet20_tuned_digits" and told["name"] == "cifar_resnet20_tuned_exits_digits"


def test_no_stage_looks_at_pool_or_test(stages, looked):
    data = datasets.load("digits")
    splits = protocol.split(data, limit=60)
    assert len(looked) == 4
    assert all(set(rows) <= set(splits.train) for rows in looked)
    assert not set(np.concatenate(looked)) & {*splits.pool, *splits.test}


def test_a_run_on_the_same_dataset_keeps_its_protocol(stages):
    for folder in stages:
        plan = Source(Request("digits", str(folder), limit=60)).plan
        assert plan.splits.protocol == "v1" and plan.own_head and plan.backbone.tuned.before == frozenset()


def test_a_network_tuned_on_another_version_of_the_images_has_seen_them(stages, wanted, tmp_path, monkeypatch):
    other = replace(datasets.load("digits"), name="digits[other=1]")
    monkeypatch.setattr(datasets, "load", lambda *_, **__: other)
    with pytest.raises(UserError, match="was trained on digits"):  # which has no official test images to hold out from
        finetune(second(wanted, stages[0]), tmp_path / "a", workers=0)


def test_trunk_and_heads_learn_together_at_other_exits(stages, wanted, tmp_path):
    tuned = stages[0]
    asked = second(wanted, f"network:{tuned}[exits='1,4,6']", exits="joint")
    joint = backbones.load(str(finetune(asked, tmp_path / "joint", workers=0)))
    assert len(joint.native) == 3 and joint.positions == (1, 4, 6) and joint.tuned.before == frozenset()
    before = backbones.load(str(tuned)).trunk.state_dict()
    assert not all(torch.equal(value, before[name]) for name, value in joint.trunk.state_dict().items())


def test_a_cascade_of_tuned_networks_keeps_the_protocol(stages):
    tuned, frozen = stages
    plan = Source(Request("digits", f"cascade:{tuned}+{frozen}", limit=60)).plan
    assert plan.splits.protocol == "v1" and plan.native and plan.backbone.tuned.before == frozenset()
    mixed = backbones.load(f'cascade:"cifar_resnet20[weights=random]+{tuned}"', num_classes=10)
    assert mixed.tuned.dataset == "digits" and mixed.tuned.before == frozenset()
