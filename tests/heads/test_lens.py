"""Lens heads: the shortcut to the last features and the frozen head, against NumPy's least squares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bench import heads
from bench.heads import lens
from bench.heads.lens import LensConfig
from tests.helpers.tasks import make_task


def test_it_is_least_squares_to_the_last_features_and_then_the_frozen_head():
    """Solved as the papers state it: a map to z, then W z + b; not to the logits at once."""
    g = torch.Generator().manual_seed(0)
    task = make_task(200, classes=4)
    last = torch.randn(200, 9, generator=g) + task.train.features[3] @ torch.randn(12, 9, generator=g)
    weight, bias = torch.randn(4, 9, generator=g), torch.randn(4, generator=g)
    train = dataclasses.replace(task.train, final_logits=last @ weight.T + bias)
    fitted = heads.fit("lens[ridge=1e-9]", dataclasses.replace(task, train=train, shared_cache={}))
    for k, x in enumerate(train.features):
        design = np.concatenate([x.numpy(), np.ones((200, 1))], 1)
        shortcut = np.linalg.lstsq(design, last.numpy(), rcond=None)[0]
        expected = torch.from_numpy(design @ shortcut).float() @ weight.T + bias
        torch.testing.assert_close(fitted(k, x, ()), expected, atol=2e-3, rtol=1e-3)


def test_a_strong_ridge_answers_with_the_mean():
    task = make_task(100)
    fitted = heads.fit("lens[ridge=1e9]", task)
    answer = fitted(0, task.val.features[0], ())
    torch.testing.assert_close(answer, task.train.final_logits.mean(0).expand_as(answer), atol=1e-3, rtol=1e-3)


def test_the_sums_over_parts_are_those_over_all(monkeypatch):
    whole = heads.fit("lens", make_task(50)).state_dict()
    monkeypatch.setattr(lens, "CHUNK", 7)
    parts = heads.fit("lens", make_task(50)).state_dict()
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)


def test_the_last_exit_is_the_frozen_head_and_labels_do_not_matter():
    task = make_task(60)
    other = dataclasses.replace(task.train, labels=(task.train.labels + 1) % 6)
    mixed = dataclasses.replace(task, train=other, shared_cache={})
    one, two = (heads.fit("lens", t).logits(task.val) for t in (task, mixed))
    assert torch.equal(one, two) and torch.equal(one[:, -1], task.val.final_logits)


def test_no_ridge_is_refused():
    with pytest.raises(ValueError, match="ridge=0"):
        LensConfig(ridge=0.0)
