from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.backbones.staged import Origin
from bench.backbones.timm_trunk import _origin
from bench.backbones.weights import origin_of
from bench.datasets import load, official
from bench.protocol import has_seen
from bench.system.public_data import named, tag_has_seen_imagenet


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data/cifar10/plain_text", "cifar10"),
        ("cifar100/cifar100", "cifar100"),
        ("svhn/cropped_digits", "svhn"),
        ("CIFAR10-LT", "cifar10"),
        ("cifar-100-lt-imb100/train", "cifar100"),
        ("cifar-10-batches-py", "cifar10"),
        ("my-cifar-10-subset", "cifar10"),
        ("ciFAIR-100", "cifar100"),
        ("datasets--uoft-cs--cifar10/snapshots/0b2714987fa478483af9968de7c934580d0bb9a2", "cifar10"),
        ("hub/datasets--x--cifar10", "cifar10"),
        ("ImageNet/ILSVRC/Data/CLS-LOC/train", "imagenet"),
        ("imagenette2-320/train", "imagenet"),
        ("tiny-imagenet-200", "imagenet"),
        ("owner/imagenet_1k_resized_256", "imagenet"),
        ("cifar10+svhn", "cifar10+svhn"),
        ("Fashion_MNIST/raw", "fashion_mnist"),
        # other images
        ("imagenet/val", None),
        ("cifar10/test", None),
        ("imagenetv2-matched-frequency", None),
        ("imagenet-sketch", None),
        ("cifar10.1", None),
        ("kmnist", None),
        ("sign_mnist", None),
        ("cifar10-team/flowers", None),
        ("pets", None),
    ],
)
def test_every_part_of_a_name_tells_whose_images_they_are(path, source):
    assert named(*path.split("/")) == source


@pytest.mark.parametrize(
    ("file", "seen"),
    [
        ("resnet20_cifar10.safetensors", "cifar10"),
        ("CIFAR-100_wrn.pth", "cifar100"),
        ("svhn/best.pth", "svhn"),
        ("cifar10lt_ir100.pt", "cifar10"),
        ("mae_pretrain_vit_base.pth", "imagenet"),
        ("dino_deitsmall16_pretrain.pth", "imagenet"),
        ("vit_small_dinov2_svhn.pth", "imagenet+svhn"),
        ("resnet50_imagenet_v2.pth", "imagenet"),
    ],
)
def test_weights_tell_by_their_path_what_they_have_seen(tmp_path, file, seen):
    origin = origin_of(tmp_path / file, classes=None, options={}, family=Origin())
    assert origin.seen == frozenset(seen.split("+"))


@pytest.mark.parametrize(
    ("tag", "seen"),
    [("mae", True), ("dino", True), ("lvd142m", True), ("augreg_in21k_ft_in1k", True), ("openai", False),
     ("laion2b", False), ("v2_webli", False), ("dfn2b_s39b", False), ("laion2b_ft_in12k", True), ("unheard_of", True)],
)  # fmt: skip
def test_tags_of_weights_tell_whether_they_have_seen_imagenet(tag, seen):
    assert tag_has_seen_imagenet(tag) is seen
    assert ("imagenet" in _origin(SimpleNamespace(tag=tag), 0).seen) is seen


def test_a_known_digest_decides_under_any_name():
    digits = load("digits")
    other = SimpleNamespace(source="folder:holidays", digest=digits.digest)
    assert has_seen(other, {"digits"}) and not has_seen(other, {"cifar10"})
    assert has_seen(SimpleNamespace(source="cifar10+svhn", digest=""), {"svhn"})


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("cifar10", "cifar10"),
        ("CIFAR-100", "cifar100"),
        ("tiny-imagenet", "imagenet"),
        ("my-cifar10-subset", "folder:x"),
    ],
)
def test_the_seeds_of_draws_stay_what_they_were(name, drawn):
    """Splits of a set that is only now known as CIFAR-10's must not move."""
    assert official.drawn(name, "folder:x") == drawn
