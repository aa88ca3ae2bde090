"""MACs against closed forms, each written out from the architecture's own numbers."""

import json
from itertools import pairwise

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench import backbones
from bench.backbones.placement import place
from bench.costs import backbone_macs
from bench.recipe import linear_macs
from tests.helpers.paths import SHARED


def macs(name, size, classes=1000, tokens=None, **options):
    backbone = backbones.load(name, num_classes=classes, image_size=size, weights="random", **options)
    return backbone_macs(backbone, tokens or size)


def block(tokens, width, ratio=4):
    """One transformer block: query, key, value and output projections, the MLP, and both attention products."""
    return tokens * (4 * width**2 + 2 * ratio * width**2) + 2 * tokens**2 * width


def performer(tokens, inputs, width=64, features=32):
    """One token performer: projections, two feature maps, the three products of linear attention, and the MLP."""
    linear = tokens * (inputs * 3 * width + 3 * width**2)
    kernels = 2 * tokens * width * features
    return linear + kernels + 2 * tokens * features * width + tokens * features


def t2t(size, width, depth, ratio):
    """T2T-ViT without its classifier."""
    first, second, last = (size // 4) ** 2, (size // 8) ** 2, (size // 16) ** 2
    tokens = performer(first, 147) + performer(second, 576) + last * 576 * width
    return tokens + depth * block(last + 1, width, ratio)


def conv(side, inputs, outputs, kernel=3, groups=1):
    """One convolution with a map of side × side behind it."""
    return side**2 * inputs // groups * outputs * kernel**2


@pytest.mark.parametrize(
    ("name", "size", "shape", "giga"),
    [
        ("t2t_vit_7", 224, (256, 7, 2), 1.147),
        ("t2t_vit_14", 224, (384, 14, 3), 4.783),
        ("t2t_vit_7", 32, (256, 7, 2), 0.0242),
    ],
)
def test_t2t_vit(name, size, shape, giga):
    counted = macs(name, size)
    without_classifier = counted[-1] - linear_macs(shape[0], 1000)
    assert without_classifier == t2t(size, *shape)
    assert without_classifier / 1e9 == pytest.approx(giga, rel=0.01)
    steps = [b - a for a, b in pairwise(counted[:-1])]
    assert steps == [block((size // 16) ** 2 + 1, shape[0], shape[2])] * (shape[1] - 2)


def test_deit_tiny_at_every_exit():
    tokens, width, stem = 197, 192, 196 * 3 * 16**2 * 192
    counted = macs("deit_tiny", 224)
    assert 12 * tokens * width**2 + 2 * tokens**2 * width == block(tokens, width)
    expected = [stem + k * block(tokens, width) for k in range(1, 13)]
    expected[-1] += linear_macs(width, 1000)
    assert list(counted) == expected
    assert counted[-1] / 1e9 == pytest.approx(1.254, rel=0.01)


@pytest.mark.slow
def test_clip_at_64_pixels():
    tokens, width = 17, 768
    counted = macs("clip_vit_b16", 64, classes=10)
    assert counted[-1] == 16 * 3 * 16**2 * width + 12 * block(tokens, width) + linear_macs(width, 10)
    assert counted[-1] / 1e9 == pytest.approx(1.45, rel=0.01)


def test_resnet18():
    total, side, width = conv(112, 3, 64, 7), 56, 64
    exits = []
    for outputs in (64, 128, 256, 512):
        if outputs > 64:
            side //= 2
            total += conv(side, width, outputs, 1)  # the projection shortcut
        total += conv(side, width, outputs) + 3 * conv(side, outputs, outputs)
        width = outputs
        exits.append(total)
    exits[-1] += linear_macs(512, 1000)
    assert list(macs("resnet18", 224)) == exits
    assert exits[-1] / 1e9 == pytest.approx(1.814, rel=0.01)


def test_efficientnet_lite0_at_every_stage():
    # repeats, kernel, stride, expansion, outputs: EfficientNet-B0's table without squeeze and excitation
    table = [
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ]
    side, width, exits = 112, 32, []
    total = conv(side, 3, width)
    for repeats, kernel, stride, expansion, outputs in table:
        for i in range(repeats):
            hidden = width * expansion
            total += conv(side, width, hidden, 1) if expansion > 1 else 0
            side //= stride if i == 0 else 1
            total += conv(side, hidden, hidden, kernel, groups=hidden) + conv(side, hidden, outputs, 1)
            width = outputs
        exits.append(total)
    exits[-1] += conv(side, width, 1280, 1) + linear_macs(1280, 1000)
    assert list(macs("efficientnet_lite0", 224)) == exits
    assert exits[-1] / 1e9 == pytest.approx(0.385, rel=0.01)


@pytest.mark.parametrize("depth", [20, 56])
def test_cifar_resnets_at_every_block(depth):
    per_stage, total, side, width, exits = (depth - 2) // 6, conv(32, 3, 16), 32, 16, []
    for outputs in (16, 32, 64):
        side //= 1 if outputs == 16 else 2
        for _ in range(per_stage):
            total += conv(side, width, outputs) + conv(side, outputs, outputs)
            width = outputs
            exits.append(total)
    exits[-1] += linear_macs(64, 10)
    assert list(macs(f"cifar_resnet{depth}", 32, classes=10, exits="blocks")) == exits
    assert depth != 20 or exits[-1] == 40_551_040


@pytest.mark.slow
def test_mobilenetv3_counts_the_convolution_behind_the_pooling_in_the_last_exit_alone():
    wide, narrow = macs("mobilenetv3_large", 96), macs("mobilenetv3_large", 96, classes=10)
    assert wide[:-1] == narrow[:-1]
    assert wide[-1] - narrow[-1] == linear_macs(1280, 990)
    assert wide[-1] - wide[-2] > linear_macs(960, 1280) + linear_macs(1280, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deit_tiny", "t2t_vit_7", "resnet18", "efficientnet_b0"])
def test_exits_change_no_total_and_rise_strictly(name):
    every, few = macs(name, 64), macs(name, 64, exits="1,4")
    assert few[-1] == every[-1] and len(few) == 3
    assert all(a < b for a, b in pairwise(every))
    blocks = macs(name, 64, exits="blocks")
    at = place("1,4", owner=name, blocks=len(blocks), default="blocks")
    assert few[:-1] == tuple(blocks[i] for i in at)


@pytest.mark.slow
def test_fused_attention_on_the_cpu_hides_from_the_counter_but_not_from_us():
    """The trap: the kernel in use must not change the count, and where it would, ours is the larger number."""
    backbone = backbones.load("deit_tiny", num_classes=1000, image_size=64, weights="random")
    ours = backbone_macs(backbone, 64)
    image = torch.zeros(1, 3, 64, 64)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as true:
        backbone(image)
    with torch.no_grad(), FlopCounterMode(display=False) as naive:
        backbone(image)
    assert ours[-1] == true.get_total_flops() // 2
    assert naive.get_total_flops() // 2 <= ours[-1]
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert backbone_macs(backbone, 64) == ours


def test_bert_base_at_128_tokens(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra exitbench[text]")
    tokens, width = 128, 768
    shape = {"hidden_size": width, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": 30, **shape}))
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    counted = macs(f"hf_text:{tmp_path}", None, classes=2, tokens=tokens)
    # 4 projections and the MLP are 12·d² per token, both attention products 2·n²·d; looking tables up costs nothing
    assert block(tokens, width) == tokens * 12 * width**2 + 2 * tokens**2 * width
    assert list(counted) == [k * block(tokens, width) for k in range(12)] + [12 * block(tokens, width) + 2 * width]
    assert counted[-1] / 1e9 == pytest.approx(11.17, rel=0.01)


def test_minilm_at_16_tokens_for_every_pooling():
    pytest.importorskip("transformers", reason="needs the extra exitbench[text]")
    tokens, width = 16, 384
    for pooling, seen in (("mean", 384), ("both", 768)):
        counted = macs(f"minilm_l6[pooling={pooling}]", None, classes=77, tokens=tokens)
        expected = [k * block(tokens, width) for k in range(7)]
        expected[-1] += linear_macs(seen, 77)
        assert list(counted) == expected
    assert block(tokens, width) == 28_508_160


def test_counting_leaves_the_backbone_alone():
    backbone = backbones.load("t2t_vit_7", num_classes=10, image_size=32, weights="random")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone_macs(backbone, 32)
    assert all(torch.equal(v, before[k]) and v.device.type == "cpu" for k, v in backbone.state_dict().items())


def test_convolutions_may_be_counted_at_another_size():
    backbone = backbones.load("resnet18", num_classes=10, image_size=64, weights="random")
    assert backbone_macs(backbone, 128)[-1] - 5120 == 4 * (backbone_macs(backbone, 64)[-1] - 5120)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared (or EXITBENCH_SHARED) for the trained weights")
def test_weights_change_no_cost():
    trained = backbones.load("cifar_resnet20", num_classes=10, data_dir=SHARED / "data")
    assert backbone_macs(trained, 32)[-1] == 40_551_040
