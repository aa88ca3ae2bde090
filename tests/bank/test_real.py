"""A real dataset through a real backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench import backbones, costs, datasets, protocol
from bench.bank.ensure import ensure, find
from bench.bank.plan import Plan
from bench.bank.store import verify
from bench.inputs.images import Transform


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.usefixtures("_own_cache")
def test_digits_through_efficientnet_lite0() -> None:
    dataset = datasets.load("digits")
    backbone = backbones.load("efficientnet_lite0", num_classes=10, image_size=64)
    splits = protocol.split(dataset, limit=80)
    plan = Plan(dataset, backbone, splits)
    assert find(plan) is None
    bank = ensure(plan, batch_size=32)
    assert find(plan) is not None
    assert verify(bank.path) == []
    m = bank.manifest
    assert (m.dataset, m.dataset_digest, m.limit, m.head) == ("digits", dataset.digest, 80, "probe")
    assert m.macs == tuple(costs.backbone_macs(backbone, 64))
    rows = splits.test[:3]
    pixels = torch.from_numpy(np.stack(dataset.read(rows)))
    for k, expected in enumerate(backbone.features(Transform.of(backbone)(pixels))):
        np.testing.assert_allclose(bank.features("test", k)[:3], expected.numpy(), rtol=2e-3, atol=2e-3)
    _, test = bank.held_out(0)
    assert (test.final_logits.argmax(1) == test.labels).float().mean() > 0.5
