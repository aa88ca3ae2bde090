"""Thresholds per class: the empirical Bayes estimate by hand, and the global threshold where there are no effects."""

from __future__ import annotations

import pytest
import torch
from bench.methods.global_thresh import GlobalThreshold
from bench.methods.per_class_thresh import (
    ClassScore,
    PerClassConfig,
    PerClassThreshold,
    class_effects,
    log_odds,
)

from bench.inference import simulate
from tests.helpers.tasks import given_task


def test_log_odds_by_hand():
    z = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    assert log_odds(z).item() == pytest.approx(torch.tensor(0.7 / 0.3).log().item(), abs=1e-7)
    assert log_odds(torch.tensor([[1e4, -1e4]])).item() == 40 and log_odds(torch.tensor([[3.0]])).item() == 40


def effects(right_of_first, right_of_second, spread=1.0, n=16):
    """Two classes of n predictions each, every one right with probability ½, of which so many were right."""
    predicted = torch.tensor([0] * n + [1] * n)
    right = torch.tensor([float(i < right_of_first) for i in range(n)] + [float(i < right_of_second) for i in range(n)])
    return class_effects(predicted, right.double(), torch.full((2 * n,), 0.5, dtype=torch.float64), 3, spread)


def test_effects_by_hand():
    """I = 4 each, U = ±6: 9 + 9 - 1 = 17, over 8 - 32/8 = 4 is τ² = 4.25; a = ±6 / (4 + 1/4.25), and 0 if unseen."""
    expected = 6 / (4 + 1 / 4.25)
    assert effects(14, 2).tolist() == pytest.approx([expected, -expected, 0])


def test_classes_that_differ_by_chance_alone_get_the_global_threshold():
    """U = ±1: Q = ¼ + ¼ - 1 is below what noise gives."""
    assert effects(9, 7).tolist() == [0, 0, 0]


def test_less_spread_shrinks_more():
    few, usual, many = (effects(14, 2, spread)[0] for spread in (0.01, 1.0, 100.0))
    assert 0 < few < usual < many < 6 / 4 and effects(14, 2, 0.0).tolist() == [0, 0, 0]


def test_a_rarely_predicted_class_is_shrunk_more():
    predicted = torch.tensor([0] * 64 + [1] * 4)
    right = torch.tensor([1.0] * 56 + [0.0] * 8 + [1, 1, 1, 1]).double()
    frequent, rare = class_effects(predicted, right, torch.full((68,), 0.5, dtype=torch.float64), 2, 1.0).tolist()
    assert 0 < rare / (2 / 1) < frequent / (24 / 16)  # each beside its own estimate U / I


def biased(n=400):
    """Equal confidences, but predictions of class 1 are right nine times in ten, those of class 0 one time in two."""
    g = torch.Generator().manual_seed(0)
    predicted = torch.arange(n) % 2
    confidence = 0.6 + 0.3 * torch.rand(n, generator=g, dtype=torch.float64)
    z = (confidence / (1 - confidence)).log()
    first = torch.stack([torch.where(predicted == 0, z, 0.0), torch.where(predicted == 1, z, 0.0)], -1)
    right = torch.rand(n, generator=g) < torch.where(predicted == 1, 0.9, 0.5)
    labels = torch.where(right, predicted, 1 - predicted)
    last = 5.0 * torch.nn.functional.one_hot(labels, 2)
    return given_task(torch.stack([first.float(), last.float()], 1), labels)


def test_a_class_whose_confidence_can_be_trusted_leaves_earlier():
    task = biased()
    played = {}
    for method in (PerClassThreshold(), GlobalThreshold()):
        outcome = simulate(method.fit(task, [0.76])[0], task.val, task.macs)
        played[method.name] = (outcome.logits.argmax(-1) == task.val.labels).double().mean()
    assert played["per_class_thresh"] > played["global_thresh"] + 0.05


def test_without_class_effects_it_is_the_global_threshold():
    g = torch.Generator().manual_seed(1)
    logits = torch.randn(300, 4, 3, generator=g)
    task = given_task(logits, torch.randint(3, (300,), generator=g))
    ours = PerClassThreshold(PerClassConfig(spread=0.0)).fit(task, [0.5, 0.8])
    theirs = GlobalThreshold().fit(task, [0.5, 0.8])
    for one, other in zip(ours, theirs, strict=True):
        left = [simulate(p, task.val, task.macs).exit_index for p in (one, other)]
        assert torch.equal(*left)


def test_the_score_adds_the_offset_of_the_predicted_class():
    score = ClassScore(torch.tensor([[0.5, -1.0]]))
    z = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]]])
    assert score(0, z).tolist() == pytest.approx([2.5, 1.0]) and score.macs(0, 2) == 2


def test_a_negative_spread_is_refused():
    with pytest.raises(ValueError, match="spread=-1"):
        PerClassConfig(spread=-1.0)
