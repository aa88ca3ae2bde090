"""Logit adjustment: the prior of train by hand, and that it helps on a long tail."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from bench import heads
from bench.errors import UserError
from bench.heads.prior_adjusted import PriorAdjustedConfig, shares
from bench.method import ExitData
from tests.helpers.tasks import make_task


def with_labels(labels, classes=3):
    task = make_task(len(labels), classes=classes)
    train = dataclasses.replace(task.train, labels=torch.tensor(labels))
    return dataclasses.replace(task, train=train, shared_cache={})


def test_the_log_prior_is_subtracted_at_every_exit():
    """Six, three and no samples: the class without counts as one, so log(6/1) and log(3/1) apart."""
    task = with_labels([0] * 6 + [1] * 3)
    plain, adjusted = (
        heads.fit(s, task).logits(task.val) for s in ("plain[epochs=2]", "prior_adjusted[base=plain[epochs=2],tau=one]")
    )
    shift = plain - adjusted
    assert torch.allclose(shift, shift[:1, :1].expand_as(shift), atol=1e-5)
    assert float(shift[0, 0, 0] - shift[0, 0, 2]) == pytest.approx(math.log(6), abs=1e-5)
    assert float(shift[0, 4, 1] - shift[0, 4, 2]) == pytest.approx(math.log(3), abs=1e-5)


def test_a_balanced_train_split_changes_nothing_and_nothing_is_counted():
    task = with_labels([0, 1, 2] * 4)
    plain, adjusted = (heads.fit(s, task) for s in ("plain[epochs=2]", "prior_adjusted[base=plain[epochs=2]]"))
    assert torch.equal(plain.logits(task.val), adjusted.logits(task.val))
    assert [plain.macs(k) for k in range(5)] == [adjusted.macs(k) for k in range(5)]


def test_it_works_on_mixed_answers():
    task = with_labels([0] * 6 + [1] * 3)
    mixed, adjusted = (
        heads.fit(s, task).logits(task.val)
        for s in ("boosted[epochs=2]", "prior_adjusted[base=boosted[epochs=2],tau=one]")
    )
    shift = mixed - adjusted
    assert torch.allclose(shift, shift[:1, :1].expand_as(shift), atol=1e-5)


def test_balanced_accuracy_rises_on_a_long_tail():
    task = make_task(1200, classes=4, val=1000)
    keep = (
        torch.rand(1200, generator=torch.Generator().manual_seed(0))
        < torch.tensor([1, 0.3, 0.1, 0.03])[task.train.labels]
    )
    train = ExitData(
        tuple(x[keep] for x in task.train.features), task.train.final_logits[keep], task.train.labels[keep]
    )
    task = dataclasses.replace(task, train=train, shared_cache={})
    before, after = (heads.fit(s, task).logits(task.val) for s in ("plain", "prior_adjusted"))
    right = [(z.argmax(-1) == task.val.labels[:, None]).double().mean(0) for z in (before, after)]
    assert (right[1][:3] > right[0][:3] + 0.02).all()
    assert (right[1][4] - right[0][4]).abs() < 0.01  # the last exit never saw the long tail


def test_shares_have_the_lowest_loss_and_stay_in_range():
    g = torch.Generator().manual_seed(0)
    prior = torch.tensor([2.0, 0.5, -1.0], dtype=torch.float64)
    labels = torch.randint(3, (4000,), generator=g)
    clean = 2.0 * torch.nn.functional.one_hot(labels, 3) + torch.randn(4000, 3, generator=g, dtype=torch.float64)
    z = torch.stack([clean, clean + 0.7 * prior, clean + 9 * prior, clean - prior], 1)
    tau = shares(z, labels, prior)
    assert tau[1] - tau[0] == pytest.approx(0.7, abs=1e-6) and tau[0] == pytest.approx(0, abs=0.05)
    assert tau[2] == pytest.approx(2) and tau[3] == pytest.approx(0, abs=1e-6)

    def loss(t):
        return torch.nn.functional.cross_entropy(z[:, 1] - t * prior, labels)

    assert all(loss(tau[1]) <= loss(tau[1] + d) for d in (-0.05, 0.05))


def test_a_wrong_base_is_refused():
    with pytest.raises(UserError, match="no_such"):
        PriorAdjustedConfig(base="no_such")
