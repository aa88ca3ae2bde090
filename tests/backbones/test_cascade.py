"""Separate networks as the exits of one backbone: each answers as it does alone, and costs add up."""

from __future__ import annotations

import pytest
import torch

from bench import backbones
from bench.bank.source import Request, Source
from bench.costs import backbone_macs
from bench.errors import UserError
from bench.inference import execute, simulate
from bench.method import ExitData, Policy
from bench.plugins.spec import parse
from tests.helpers.backbones import build, images

TWO = "cascade:cifar_resnet20@16+cifar_resnet32@32"


def test_every_exit_is_a_network_of_its_own_at_its_own_size():
    whole = build(TWO, 32)
    small, large = build("cifar_resnet20", 16), build("cifar_resnet32", 32)
    x = images(4, 32)
    with torch.no_grad():
        first, last = whole.features(x)
        shrunk = torch.nn.functional.interpolate(x, size=(16, 16), mode="bilinear", antialias=True, align_corners=False)
        torch.testing.assert_close(first, small.features(shrunk)[-1])
        torch.testing.assert_close(last, large.features(x)[-1])
        torch.testing.assert_close(whole(x), large(x))
    assert whole.exit_names == ("block 0", "head") and whole.image_size == 32


def test_costs_add_up_without_the_heads_of_the_members():
    own = [
        backbone_macs(build(name, size), size)[-1] for name, size in (("cifar_resnet20", 16), ("cifar_resnet32", 32))
    ]
    assert backbone_macs(build(TWO, 32), 32) == (own[0] - 640, own[0] - 640 + own[1])


def test_members_of_other_normalisations_see_what_they_want():
    mixed = backbones.load("cascade:cifar_resnet20+t2t_vit_7", num_classes=10, image_size=32, weights="random")
    alone = build("cifar_resnet20", 32)
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def seen_by(network):
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (network.mean, network.std))
        return (pixels - mean) / std

    with torch.no_grad():
        torch.testing.assert_close(mixed.features(seen_by(mixed))[0], alone.features(seen_by(alone))[-1])


class Half(Policy):
    """Leaves at the first exit if a feature is above its median."""

    def __init__(self, median):
        super().__init__()
        self.median = median

    def head(self, k, features, previous):
        return features[:, :10] if k == 0 else features

    def leave(self, k, logits):
        return logits[:, 0, 0] > self.median

    def macs(self, k):
        return 0


def test_stopping_for_real_is_what_was_simulated():
    whole = build(TWO, 32)
    x, labels, macs = images(6, 32), torch.arange(6), backbone_macs(whole, 32)
    with torch.no_grad():
        first, last = whole.features(x)
        data = ExitData((first,), whole.head(last), labels)
    policy = Half(first[:, 0].median())
    one, other = simulate(policy, data, macs), execute(policy, whole, x, labels, macs)
    assert one.exit_index.tolist() == other.exit_index.tolist() and 0 < one.exit_index.sum() < 6
    torch.testing.assert_close(one.logits, other.logits)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cascade:cifar_resnet20", "at least two members"),
        ("cascade:cifar_resnet20++cifar_resnet32", "a member without a name"),
        ("cascade:cifar_resnet20+nothing", "nothing"),
        (TWO + "[exits=blocks]", "Leave --exits out"),
    ],
)
def test_mistakes_are_sentences(name, says):
    with pytest.raises(UserError, match=says):
        backbones.load(name, num_classes=10, weights="random")


@pytest.mark.shared
def test_trained_members_keep_their_heads(shared):
    whole = backbones.load("cascade:cifar_resnet20+cifar_resnet56", num_classes=10, data_dir=shared / "data")
    alone = backbones.load("cifar_resnet20", data_dir=shared / "data")
    assert whole.seen == {"cifar10"} and whole.head_for == "cifar10"
    assert torch.equal(whole.native[0].weight, alone.head.weight)


def test_members_without_a_size_take_their_own_for_the_datasets_images():
    members = "cifar_resnet20{}+efficientnet_lite0[exits='2,5']{}+efficientnet_lite0@64"
    name = f'cascade:"{members.format("", "")}"'
    for native, size in ((32, 96), (300, 224)):
        spec, largest = backbones.for_images(name, native)
        assert (spec.argument, largest) == (members.format("@32", f"@{size}"), None)
        assert parse(str(spec)) == spec
    for native, size in ((32, 48), (None, None)):
        spec, largest = backbones.for_images(name, native, size)
        assert (spec.argument, largest) == (members.format("", ""), size)  # all at the size that is asked for
    assert backbones.for_images("efficientnet_lite0", 32)[1] == 96


def test_a_run_asks_for_the_datasets_size():
    plan = Source(Request("digits", "cascade:cifar_resnet20+resnet18", weights="random", limit=60)).plan
    assert plan.backbone.name == "cascade:cifar_resnet20@32+resnet18@96"
    assert [member.network.image_size for member in plan.backbone.trunk] == [32, 96] and plan.size == 96
