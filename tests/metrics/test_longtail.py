from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from bench.metrics.longtail import class_accuracies, group_of, scores
from tests.helpers.outcomes import made_of, outcomes, permuted, point


def one_hot(classes: list[int]) -> list[list[float]]:
    return [[0.9 if c == k else 0.05 for k in range(3)] for c in classes]


def test_groups_by_training_count():
    assert group_of(np.array([500, 101, 100, 20, 19, 0])).tolist() == [0, 0, 1, 1, 2, 2]


def test_by_hand():
    # class 0 many, 1 medium, 2 few; exit 0 costs 10 and says 0, exit 1 costs 40 and is right but for the last sample
    labels, last = [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 0]
    exits = [[a, b] for a, b in zip(one_hot([0] * 6), one_hot(last), strict=True)]
    test = made_of(exits, [0, 0, 0, 1, 1, 1], labels)
    found = scores(point(test, test, full_macs=50, exit_macs=[10, 40], train_counts=[200, 50, 5]))
    assert found == pytest.approx(
        {
            "balanced_accuracy": 2 / 3,
            "accuracy_worst20": 2 / 3,
            "accuracy_many": 1.0,
            "accuracy_medium": 0.5,
            "accuracy_few": 0.5,
            "macs_fraction_many": 0.2,
            "macs_fraction_medium": 0.5,
            "macs_fraction_few": 0.8,
            "mean_exit_many": 0.0,
            "mean_exit_medium": 0.5,
            "mean_exit_few": 1.0,
            "accuracy_tax_many": 0.0,
            "accuracy_tax_medium": 0.5,
            "accuracy_tax_few": 0.0,
            "savings_disparity": 0.6,
        }
    )


def test_absent_groups_are_left_out():
    test = outcomes(200, classes=3, seed=1)
    alike = scores(point(test, test, train_counts=[300, 200, 150]))
    assert alike.keys() == {"balanced_accuracy", "accuracy_worst20"}
    two = scores(point(test, test, train_counts=[300, 200, 50]))
    assert "accuracy_medium" in two and "accuracy_few" not in two and "savings_disparity" not in two
    rest = test.labels < 2
    part = dataclasses.replace(
        test, **{k: getattr(test, k)[rest] for k in ("exit_index", "logits", "labels", "macs", "exit_logits")}
    )
    assert "accuracy_few" not in scores(point(part, part, train_counts=[300, 50, 5]))  # no test sample of that group


def test_the_worst_classes():
    rng = np.random.default_rng(0)
    labels, predicted = np.repeat(np.arange(40), 10), rng.integers(40, size=400)
    predicted[:200] = labels[:200]
    each = class_accuracies(predicted, labels)
    assert len(each) == 40 and each[:20].tolist() == [1.0] * 20
    assert np.sort(each)[:20].mean() == pytest.approx(each[20:].mean())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 60))
def test_bounds_order_and_sklearn(seed, n):
    test = outcomes(n, seed=seed)
    found = scores(point(test, test, full_macs=400))
    assert found == scores(point(permuted(test), permuted(test), full_macs=400))
    predicted = test.logits.argmax(-1).numpy()
    labels = test.labels.numpy()
    if len(set(labels)) > 1 and set(predicted) <= set(labels):  # scikit-learn warns of others
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert all(-1 <= value <= 1 for name, value in found.items() if not name.startswith("mean_exit"))
