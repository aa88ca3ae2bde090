"""CIFAR ResNets: their size, and the accuracy of the shared weights on the official test set."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import backbones
from tests.helpers.backbones import build
from tests.helpers.paths import SHARED

DATA = os.environ.get("BENCH_DATA", "")  # read before the fixture hides it
CIFAR10 = Path(DATA) / "cifar10" / "test-00000-of-00001.parquet"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_parameters_are_those_of_the_paper(depth, parameters):
    assert sum(p.numel() for p in build(f"cifar_resnet{depth}", 32).parameters()) == parameters


@torch.no_grad()
def test_shortcut_subsamples_and_pads_with_zeros_on_both_sides():
    from bench.backbones.cifar_resnet import BasicBlock

    block = BasicBlock(2, 4, stride=2).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared (or EXITBENCH_SHARED) for the weights")
@pytest.mark.skipif(
    not (DATA and CIFAR10.is_file()), reason="needs $BENCH_DATA/cifar10, the lossless CIFAR-10 test set"
)
@pytest.mark.parametrize(("depth", "accuracy"), [(20, 0.9173), (56, 0.9339)])
def test_shared_weights_reach_their_accuracy(depth, accuracy):
    import pyarrow.parquet
    from PIL import Image

    table = pyarrow.parquet.read_table(CIFAR10)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(i["bytes"])).convert("RGB")) for i in table["img"].to_pylist()])
    labels = torch.tensor(table["label"].to_pylist())
    assert pixels.shape == (10_000, 32, 32, 3)
    backbone = backbones.load(f"cifar_resnet{depth}", num_classes=10, data_dir=SHARED / "data")
    assert (backbone.seen, backbone.head_for) == ({"cifar10"}, "cifar10")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.mean, backbone.std))
    correct = 0
    with torch.no_grad():
        for rows, truth in zip(torch.from_numpy(pixels).split(500), labels.split(500), strict=True):
            correct += int((backbone((rows.permute(0, 3, 1, 2) / 255 - mean) / std).argmax(1) == truth).sum())
    assert correct / 10_000 == pytest.approx(accuracy, abs=5e-4)
