from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.accuracy import exit_shares, predictions, random_accuracy
from bench.metrics.arrays import mean, softmax
from bench.metrics.proper import brier, nll


def test_nll_and_brier_of_a_uniform_guess():
    p, y = np.full((6, 4), 0.25), np.arange(6) % 4
    assert nll(p, y) == pytest.approx(math.log(4))
    assert brier(p, y) == pytest.approx(0.75**2 + 3 * 0.25**2)


def test_extremes():
    p = np.eye(3)
    assert nll(p, [0, 1, 2]) == 0.0
    assert str(nll(p, [0, 1, 2])) == "0.0"
    assert brier(p, [0, 1, 2]) == 0.0
    assert nll(p, [1, 2, 0]) == pytest.approx(-math.log(1e-12))
    assert brier(p, [1, 2, 0]) == 2.0


def test_brier_by_hand():
    assert brier([[0.7, 0.2, 0.1]], [1]) == pytest.approx(0.49 + 0.64 + 0.01)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), classes=st.integers(1, 6))
def test_ranges_and_order(seed, n, classes):
    rng = np.random.default_rng(seed)
    p, y = softmax(rng.normal(size=(n, classes)) * 20), rng.integers(classes, size=n)
    order = rng.permutation(n)
    assert 0.0 <= nll(p, y) <= 27.7
    assert 0.0 <= brier(p, y) <= 2.0
    assert (nll(p, y), brier(p, y)) == (nll(p[order], y[order]), brier(p[order], y[order]))


def test_accuracy_and_shares():
    logits = np.array([[0.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
    assert predictions(logits).tolist() == [1, 0, 0]
    assert (predictions(logits) == [1, 1, 0]).mean() == pytest.approx(2 / 3)
    assert exit_shares(np.array([0, 0, 2, 0]), 4).tolist() == [0.75, 0.0, 0.25, 0.0]
    assert random_accuracy(np.array([0.75, 0.25]), np.array([0.4, 0.8])) == pytest.approx(0.5)


def test_mean_does_not_depend_on_order():
    values = np.random.default_rng(0).normal(size=9999) * 10.0 ** np.random.default_rng(1).integers(-8, 8, size=9999)
    assert mean(values) == mean(values[::-1]) == mean(np.sort(values))
