from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.metrics.arrays import softmax
from bench.metrics.calibration import classwise_ece, debiased_ece, ece, reliability, top_label_ece
from bench.system.compat import ensure_torchvision


def two_class(confidence: list[float], correct: list[int]) -> tuple[np.ndarray, np.ndarray]:
    top = np.array(confidence)
    return np.stack([top, 1 - top], axis=1), 1 - np.array(correct)


def drawn(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(n, classes)) * 2), rng.integers(classes, size=n)


def test_width_by_hand():
    p, y = two_class([0.95, 0.85, 0.55], [1, 0, 1])
    # bins (.8, 1]: confidence .9, accuracy .5; (.4, .6]: .55 against 1
    assert ece(p, y, bins=5, strategy="width") == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.45)


def test_width_bins_are_closed_on_the_right():
    p, y = two_class([0.75, 0.76], [0, 1])
    assert ece(p, y, bins=4, strategy="width") == pytest.approx((0.75 + 0.24) / 2)


def test_mass_by_hand():
    p, y = two_class([0.6, 0.7, 0.8, 0.9], [1, 0, 1, 1])
    assert ece(p, y, bins=2, strategy="mass") == pytest.approx(0.5 * abs(0.5 - 0.65) + 0.5 * abs(1.0 - 0.85))


def test_mass_bins_differ_by_at_most_one():
    p, y = drawn(1000, 5, 1)
    confidence, correct = p.max(1), p.argmax(1) == y
    parts = np.array_split(np.argsort(confidence), 15)
    assert {len(part) for part in parts} == {66, 67}
    expected = sum(abs(correct[part].sum() - confidence[part].sum()) for part in parts) / 1000
    assert ece(p, y) == pytest.approx(expected, abs=1e-12)


def test_width_agrees_with_torchmetrics():
    ensure_torchvision()  # which torchmetrics imports
    from torchmetrics.functional.classification import multiclass_calibration_error

    p, y = drawn(3000, 6, 2)
    theirs = multiclass_calibration_error(torch.tensor(p), torch.tensor(y), num_classes=6, n_bins=15, norm="l1")
    assert ece(p, y, strategy="width") == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("strategy", ["mass", "width"])
def test_calibrated_is_zero_and_certain_errors_are_one(strategy):
    certain, wrong = np.eye(3)[[0, 1, 2, 0]], np.array([1, 2, 0, 1])
    assert ece(certain, certain.argmax(1), strategy=strategy) == 0.0
    assert ece(certain, wrong, strategy=strategy) == 1.0


@pytest.mark.parametrize("strategy", ["mass", "width"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), levels=st.integers(1, 4))
def test_order_of_rows_changes_nothing_even_with_ties(strategy, seed, n, levels):
    rng = np.random.default_rng(seed)
    top = rng.choice(np.linspace(0.55, 0.95, levels), size=n)
    p, y = two_class(top.tolist(), rng.integers(2, size=n).tolist())
    order = rng.permutation(n)
    value = ece(p, y, strategy=strategy)
    assert value == ece(p[order], y[order], strategy=strategy)
    assert 0.0 <= value <= 1.0


def test_all_equal_confidences_make_one_gap():
    p, y = two_class([0.75] * 40, [1, 0] * 20)
    assert ece(p, y, strategy="mass") == pytest.approx(0.25)


@pytest.mark.parametrize("strategy", ["mass", "width"])
def test_tiny_inputs(strategy):
    assert ece([[0.3, 0.7]], [1], strategy=strategy) == pytest.approx(0.3)
    assert ece(np.ones((4, 1)), np.zeros(4, int), strategy=strategy) == 0.0
    assert ece(torch.tensor([[0.3, 0.7], [0.6, 0.4]]), torch.tensor([1, 1]), strategy=strategy) > 0


def test_logits_are_no_probabilities():
    with pytest.raises(UserError, match="sum to 1"):
        ece([[2.0, 1.0]], [0])
    with pytest.raises(UserError, match="Labels must be in"):
        ece([[0.5, 0.5]], [2])
    with pytest.raises(UserError, match="empty"):
        ece(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(UserError, match="Did you mean 'mass'"):
        ece([[0.5, 0.5]], [0], strategy="mas")
    with pytest.raises(UserError, match="at least one bin"):
        ece([[0.5, 0.5]], [0], bins=0)


def calibrated(n: int, seed: int, most: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, most, size=n)
    return confidence, (rng.random(n) < confidence).astype(float)


def test_debiased_is_the_drawn_estimator_of_kumar():
    confidence, correct = calibrated(600, 0)
    order = np.argsort(confidence)
    parts = np.array_split(order, 15)
    n = np.array([len(part) for part in parts])
    accuracy = np.array([correct[part].mean() for part in parts])
    claimed = np.array([confidence[part].mean() for part in parts])
    plain = np.sum(n * np.abs(accuracy - claimed)) / 600
    drawn = np.random.default_rng(1).normal(accuracy, np.sqrt(accuracy * (1 - accuracy) / n), size=(200_000, 15))
    expected = 2 * plain - (np.abs(drawn - claimed) @ n / 600).mean()
    assert debiased_ece(confidence, correct) == pytest.approx(expected, abs=2e-4)


def test_debiased_is_nearer_the_truth():
    """Predictors that are calibrated, and that claim .1 too much: truth 0 and .1."""
    for shift, truth in ((0.0, 0.0), (0.1, 0.1)):
        plain, ours = [], []
        for seed in range(60):
            confidence, correct = calibrated(400, seed, most=0.9)
            p, y = two_class((confidence + shift).tolist(), correct.astype(int).tolist())
            plain.append(ece(p, y))
            ours.append(debiased_ece(p.max(axis=1), correct))
        # where nothing is wrong, an absolute value can only be halved in its bias
        assert abs(np.mean(ours) - truth) < (0.65 * np.mean(plain) if truth == 0 else 0.01)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(1, 80), classes=st.integers(2, 6))
def test_new_errors_keep_their_bounds_and_ignore_order(seed, n, classes):
    p, y = drawn(n, classes, seed)
    confidence, correct = p.max(1), (p.argmax(1) == y).astype(float)
    order = np.random.default_rng(seed).permutation(n)
    assert debiased_ece(confidence, correct) == debiased_ece(confidence[order], correct[order])
    assert 0 <= debiased_ece(confidence, correct) <= 2 * ece(p, y) + 1e-12
    assert classwise_ece(p, y) == classwise_ece(p[order], y[order])
    assert 0 <= classwise_ece(p, y) <= 2 / classes + 1e-12


def test_classwise_by_hand():
    p = np.array([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.1, 0.2, 0.7]])
    # two bins. class 0: above .5 are .8 and .6, of which one is class 0; below is .1 and none
    first = abs(1 - 1.4) + abs(0 - 0.1)
    second = abs(1 - 0.8)  # .2, .4, .2 below; one label
    third = abs(0 - 0.0) + abs(1 - 0.7)
    assert classwise_ece(p, [0, 1, 2], bins=2) == pytest.approx((first + second + third) / 9)
    assert classwise_ece(np.eye(3), [0, 1, 2]) == 0 and classwise_ece(np.eye(2), [1, 0]) == 1


def test_classwise_agrees_with_torchmetrics():
    ensure_torchvision()
    from torchmetrics.functional.classification import binary_calibration_error

    p, y = drawn(2000, 5, 3)
    each = [
        binary_calibration_error(torch.tensor(p[:, c]), torch.tensor((y == c).astype(int)), n_bins=15) for c in range(5)
    ]
    assert classwise_ece(p, y) == pytest.approx(float(torch.stack(each).mean()), abs=1e-6)


def test_reliability_lists_the_bins_of_the_ece():
    confidence, correct = np.array([0.2, 0.21, 1.0, 0.95, 0.4]), np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    found = reliability(confidence, correct)
    assert [(b, n) for b, n, _, _ in found] == [(2, 1), (3, 1), (5, 1), (14, 2)]
    assert found[-1][2:] == pytest.approx((0.975, 1.0))


@given(st.integers(1, 300), st.integers(0, 10**6))
def test_the_gaps_of_reliability_make_the_ece(n, seed):
    rng = np.random.default_rng(seed)
    confidence = rng.choice([0.0, 0.2, 1 / 3, 0.6, 1.0, *rng.random(4)], n)
    correct = (rng.random(n) < confidence).astype(float)
    found = reliability(confidence, correct)
    assert sum(n_ for _, n_, _, _ in found) == n and len({b for b, *_ in found}) == len(found)
    gaps = sum(n_ / n * abs(sure - hit) for _, n_, sure, hit in found)
    assert gaps == pytest.approx(top_label_ece(confidence, correct, 15, "width"), abs=1e-12)
