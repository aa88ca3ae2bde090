"""The coin of a random mixture: uniform, every sample's own, and almost the same for logits that were rounded."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from bench.methods.patience import Patience

from bench.inference import simulate
from bench.rules.mixing import Mixture, coin
from tests.helpers.tasks import make_task


@pytest.mark.parametrize(("classes", "scale"), [(2, 2.0), (10, 0.7), (100, 1.0), (100, 30.0)])
def test_it_is_uniform_and_knows_nothing_of_confidence(classes, scale):
    g = torch.Generator().manual_seed(classes)
    logits = scale * torch.randn(20_000, classes, generator=g)
    if classes == 2:
        logits[:, 1] = -logits[:, 0]  # as trained heads have it
    drawn = coin(logits, 3)
    ordered = drawn.sort().values
    assert float((ordered - (torch.arange(20_000) + 0.5) / 20_000).abs().max()) < 0.015  # Kolmogorov-Smirnov, p < 0.001
    confidence = logits.softmax(-1).amax(-1).double()
    assert abs(float(torch.corrcoef(torch.stack([drawn, confidence]))[0, 1])) < 0.03
    rows = torch.randperm(20_000, generator=g)[:50]
    torch.testing.assert_close(coin(logits[rows], 3), drawn[rows], rtol=0, atol=1e-9)
    assert float((coin(logits, 4) - drawn).abs().mean()) > 0.2


@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_rounding_to_half_precision_moves_it_little(classes):
    logits = 3 * torch.randn(5000, classes, generator=torch.Generator().manual_seed(classes))
    moved = (coin(logits.half(), 0) - coin(logits, 0)).abs()
    assert float(torch.minimum(moved, 1 - moved).max()) < 0.01


def test_a_policy_that_mixes_decides_the_same_on_features_in_half_precision():
    task = make_task()
    stored = dataclasses.replace(task, train=halved(task.train), val=halved(task.val))
    mixed = [p for p in Patience().fit(stored, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) if isinstance(p, Mixture)]
    assert mixed
    for policy in mixed:
        exits = [simulate(policy, split, task.macs).exit_index for split in (task.val, stored.val)]
        assert len(exits[0].unique()) > 1
        assert float((exits[0] == exits[1]).double().mean()) > 0.98


def halved(split):
    features = tuple(f.half().float() for f in split.features)
    return dataclasses.replace(split, features=features, final_logits=split.final_logits.half().float())
