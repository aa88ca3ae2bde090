"""`bench.backbones.load`: names, parameters, sizes, and what it says when something cannot be had."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from bench import backbones
from bench.errors import UserError
from bench.plugins.registry import plugins
from tests.helpers.backbones import build, images


def test_every_registered_backbone_has_a_summary_line():
    found = plugins("backbones")
    ours = {n: p for n, p in found.items() if p.target.startswith("bench.")}
    assert {"efficientnet_lite0", "t2t_vit_14", "cifar_resnet110", "clip_vit_b16", "timm"} <= ours.keys()
    for plugin in ours.values():
        summary, problem = plugin.describe()
        assert problem is None and 10 < len(summary) < 100 and summary.endswith(".")


def test_importing_the_package_loads_no_torch():
    code = "import sys, bench.backbones; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "native", "expected"),
    [
        ("efficientnet_lite0", 28, 96),
        ("efficientnet_lite0", 64, 96),
        ("efficientnet_lite0", 65, 224),
        ("resnet18", 32, 96),
        ("mobilenetv3_large", 300, 224),
        ("cifar_resnet56", 224, 32),
        ("t2t_vit_7", 32, 224),
        ("deit_tiny", 32, 224),
        ("clip_vit_b16", 32, 112),
        ("clip_vit_b16", 300, 224),
        ("timm:resnet26d", 32, 96),
        ("timm:vit_base_patch16_384", 32, 384),
        ("efficientnet_lite0[image_size=128]", 28, 128),
    ],
)
def test_default_image_sizes(name, native, expected):
    assert backbones.default_image_size(name, native) == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet81", "There is no backbone 'resnet81'. Did you mean 'resnet18'?"),
        ("resnet18[depth=3]", "'resnet18' has no parameter 'depth'"),
        ("resnet18[image_size=big]", "'big' is not a valid value for parameter 'image_size' of 'resnet18'"),
        ("resnet18:x", "'resnet18' takes no argument after a colon; leave 'x' out"),
        ("timm", "Give the name of the timm model: timm:NAME"),
        ("timm:vit_tny_patch16_224", "timm has no model 'vit_tny_patch16_224'. Did you mean 'vit_tiny_patch16_224'?"),
        ("timm:resnet18.nothing_in1k", "timm has no weights 'resnet18.nothing_in1k'. Did you mean"),
        (
            "timm:swin_tiny_patch4_window7_224",
            "cannot be divided into stages (swin_transformer). Supported families: ViT",
        ),
        ("timm:deit_tiny_distilled_patch16_224", "cannot be divided into stages (deit)"),
        ("resnet18[exits=every=9]", "Valid for resnet18: blocks, stages, every=1 … every=7, or indices from 0 to 6"),
        ("resnet18[exits=blocks]", "sets exits=blocks, but exits=every=2 was also given"),
        (
            "cifar_resnet32[weights=none]",
            "The weights of cifar_resnet32 are not on this machine. Put resnet32_cifar10.safetensors",
        ),
        ("resnet18[seen=cifar10]", "'seen' describes a weight file, but 'resnet18[seen=cifar10]' has none"),
        ("clip_vit_b16[weights=random]", "clip_vit_b16 has no classifier of its own"),
    ],
)
def test_mistakes_are_sentences(name, says):
    given = {"exits": "every=2"} if name == "resnet18[exits=blocks]" else {}
    random = {} if "weights=" in name else {"weights": "random"}
    with pytest.raises(UserError) as error:
        backbones.load(name, **given, **random)
    assert says in str(error.value)


def test_brackets_say_what_keywords_say():
    a = backbones.load("resnet18[weights=random,exits=every=2,image_size=64]", num_classes=10)
    b = build("resnet18", 64, exits="every=2")
    assert (a.weights_digest, a.image_size, a.exit_names) == (b.weights_digest, b.image_size, b.exit_names)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("efficientnet_lite0", [0, 2, 4, 7, 10, 14]),
        ("resnet18", [1, 3, 5]),
        ("deit_tiny", list(range(11))),
        ("cifar_resnet20", list(range(8))),
        ("cifar_resnet32", [1, 3, 5, 7, 9, 11, 13]),
        ("cifar_resnet56", [2, 5, 8, 11, 14, 17, 20, 23]),
        ("cifar_resnet110", [5, 11, 17, 23, 29, 35, 41, 47]),
    ],
)
def test_default_exits(name, names):
    assert build(name, 32).exit_names == (*(f"block {i}" for i in names), "head")


def test_a_weight_file_in_the_data_folder_is_used_at_any_image_size(tmp_path):
    donor = build("deit_tiny", 224, num_classes=1000)
    state = donor.trunk.state_dict() | {f"head.{k}": v for k, v in donor.head.state_dict().items()}
    save_file(state, tmp_path / "deit_tiny_patch16_224.safetensors")
    same = backbones.load("deit_tiny", data_dir=tmp_path)
    assert torch.equal(same(images(1, 224)), donor(images(1, 224)))
    assert (same.seen, same.head_for, same.interpolation) == ({"imagenet"}, "imagenet", "bicubic")
    smaller = backbones.load("deit_tiny", data_dir=tmp_path, image_size=64, num_classes=10)
    assert smaller.trunk.pos_embed.shape == (1, 17, 192)
    assert torch.equal(smaller.trunk.pos_embed[:, 0], donor.trunk.pos_embed[:, 0])
    assert (smaller.num_classes, smaller.head_for, smaller.seen) == (10, None, {"imagenet"})


@pytest.mark.slow
def test_headless_weights_drop_a_classifier_and_have_seen_what_their_family_has(tmp_path):
    donor = build("clip_vit_b16", 32)
    save_file(donor.trunk.state_dict(), tmp_path / "vit_base_patch16_clip_quickgelu_224.safetensors")
    backbone = backbones.load("clip_vit_b16", num_classes=10, image_size=32, data_dir=tmp_path)
    assert (backbone.seen, backbone.head_for) == (frozenset(), None)
    assert torch.equal(backbone.features(images(1, 32))[-1], donor.features(images(1, 32))[-1])
    assert backbone.mean[0] == pytest.approx(0.48145466) and backbone.std[2] == pytest.approx(0.27577711)


def test_unreachable_weights_say_so_quickly(monkeypatch, tmp_path):
    import socket
    import time

    import huggingface_hub.constants as hub

    def unresolved(*_):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"The weights of resnet18 .* cannot be downloaded: .*resnet18\.safetensors"):
        backbones.load("resnet18")
    assert time.monotonic() - start < 10
    assert hub.HF_HUB_OFFLINE is False
