"""What heads see of a vision transformer's tokens: the default as ever, the class token, the mean, or both."""

import pytest
import torch
from torch.testing import assert_close

from bench import backbones
from bench.backbones.staged import digest
from bench.errors import UserError
from tests.helpers.backbones import build, images


@torch.no_grad()
def tokens(backbone, batch):
    """The normalised tokens after the first block and after the last, and how many of them are not patches."""
    state = backbone.stage(0, backbone.start(batch))
    first, trunk = backbone.trunk.norm(state), backbone.trunk
    for k in range(1, backbone.num_exits):
        state = backbone.stage(k, state)
    return first, trunk.norm(state), getattr(trunk, "num_prefix_tokens", 1)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["cls", "mean", "both"])
@pytest.mark.parametrize("name", ["deit_tiny", "t2t_vit_7", "dinov2_small"])
def test_exits_see_the_tokens_that_are_asked_for(name, pooling):
    size = 28 if name == "dinov2_small" else 32
    backbone = build(f"{name}[pooling={pooling}]", size)
    batch = images(3, size)
    *states, prefix = tokens(backbone, batch)
    found = backbone.features(batch)
    for features, state in zip((found[0], found[-1]), states, strict=True):
        parts = {"cls": state[:, 0], "mean": state[:, prefix:].mean(1)}
        expected = torch.cat(list(parts.values()), 1) if pooling == "both" else parts[pooling]
        assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert backbone.name == f"{name}[pooling={pooling}]"
    assert backbone.exits(batch)[1].shape == (3, 10) and backbone.head.in_features == backbone.final_dim


@torch.no_grad()
@pytest.mark.parametrize("name", ["deit_tiny", "t2t_vit_7"])
def test_without_it_features_and_identity_are_what_they_were(name):
    backbone, batch = build(name, 32), images(2, 32)
    first, last, _ = tokens(backbone, batch)
    found = backbone.features(batch)
    assert_close(found[0], first[:, 0])
    assert_close(found[-1], last[:, 0])
    assert backbone.weights_digest == digest(f"{name}|{backbone.positions}", backbone.state_dict())
    chosen = build(f"{name}[pooling=cls]", 32)
    assert chosen.weights_digest != backbone.weights_digest
    assert all(torch.equal(a, b) for a, b in zip(chosen.features(batch), found, strict=True))


def test_the_identity_of_known_weights_is_the_one_of_stored_banks():
    backbone = build("deit_tiny", 32)
    for i, value in enumerate(backbone.state_dict().values()):
        value.copy_(((torch.arange(value.numel()) + i) % 97 - 48).reshape(value.shape) / 64)
    backbone._freeze()
    assert backbone.weights_digest == "3d48051dd61384425ba75446c3b178a7"


@torch.no_grad()
def test_the_own_head_keeps_its_own_pooling(tmp_path):
    own = build("deit_tiny", 32)
    state = {f"head.{key}": value for key, value in own.head.state_dict().items()}
    state |= own.trunk.state_dict()
    torch.save(state, tmp_path / "cifar10_deit.pth")
    options = {"weights": tmp_path / "cifar10_deit.pth", "image_size": 32}
    backbone, batch = backbones.load("deit_tiny[pooling=both]", **options), images(2, 32)
    assert backbone.head_for == "cifar10" and set(backbone.feature_dims) == {384} and backbone.final_dim == 192
    assert_close(backbone(batch), own(batch))
    other = backbones.load("deit_tiny[pooling=both]", num_classes=7, **options)
    assert other.head_for is None and other.final_dim == 384 and other(batch).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("timm:vit_dpwee_patch16_reg1_gap_256[pooling=both]", "has no class token. Give pooling=mean"),
        ("timm:resnet18[pooling=mean]", "has no tokens to pool"),
        ("deit_tiny[pooling=max]", "Input should be 'mean', 'cls' or 'both'"),
        ("resnet18[pooling=mean]", "has no parameter 'pooling'"),
    ],
)
def test_what_cannot_be_pooled_is_a_sentence(name, says):
    with pytest.raises(UserError, match=says):
        build(name, 32)
