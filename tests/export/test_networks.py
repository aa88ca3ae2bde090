"""The backbone of a policy comes back from the folder, or from where the run had it."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from bench import backbones, load_policy
from bench.errors import UserError
from bench.export.network import architecture, weights_of

NETWORK = [
    *("finetune", "--dataset", "digits", "--backbone", "cifar_resnet20[exits='2,5']", "--weights", "random"),
    *("--exits", "joint", "--image-size", "8", "--limit", "60", "--batch-size", "8", "--workers", "0", "--epochs", "1"),
]


def test_an_architecture_does_not_say_where_weights_come_from():
    spec = 'cifar_resnet20[exits="2,5",seen=cifar10,head_for=cifar10,weights=/home/me/net.pth]'
    assert architecture(spec) == "cifar_resnet20[exits=2,5]"


def test_own_heads_of_a_network_are_no_part_of_its_weights():
    network = backbones.load("cifar_resnet20", num_classes=10, image_size=8, weights="random")
    network.native = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    assert not any(name.startswith("native") for name in weights_of(network)) and "head.weight" in weights_of(network)


@pytest.mark.slow
def test_a_policy_on_native_heads_of_a_trained_network_needs_no_folder_of_it(bench, tmp_path):
    assert bench(*NETWORK, "-o", "net").returncode == 0
    export = ["export", "digits", "msdnet_thresh[heads=native]", "0.8", "--backbone", "net", "--limit", "60"]
    done = bench(*export, "-o", "with")
    assert done.returncode == 0, done.stderr
    assert bench(*export, "-o", "without", "--without-backbone").returncode == 0
    images = torch.randint(0, 256, (9, 8, 8, 3), dtype=torch.uint8)
    known = load_policy(tmp_path / "without", backbone=str(tmp_path / "net"))(images)
    shutil.move(tmp_path / "net", tmp_path / "gone")
    found = load_policy(tmp_path / "with")(images)
    assert torch.equal(known[0], found[0]) and torch.equal(known[1], found[1])
    body = json.loads((tmp_path / "with" / "policy.json").read_text())
    assert body["backbone"]["spec"] == "cifar_resnet20" and str(tmp_path) not in json.dumps(body)
    with pytest.raises(UserError, match="backbone=FOLDER"):
        load_policy(tmp_path / "without")


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", ["msdnet[blocks=2]", "cascade:cifar_resnet20@16+cifar_resnet32", "t2t_vit_7", "mobilenetv3_large"]
)
def test_networks_of_other_families_come_back(bench, tmp_path, backbone):
    how = ["--weights", "random", "--limit", "60", "--image-size", "32"]
    done = bench("export", f"digits/{backbone}", "global_thresh", "0.9", "-o", "policy", *how)
    assert done.returncode == 0, done.stderr
    images = torch.randint(0, 256, (5, 40, 30, 3), dtype=torch.uint8)
    predictions, exits = load_policy(tmp_path / "policy")(images, batch_size=2)
    assert len(predictions) == len(exits) == 5
