from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics.selective import aurc, best_aurc, coverage_at_risk, risk_curve
from tests.helpers.outcomes import outcomes, scored


def drawn(n: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.choice(np.linspace(0.1, 0.9, levels), size=n), rng.random(n) < 0.6


def test_by_hand():
    confidence, correct = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert risk_curve(confidence, correct)[0].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc(confidence, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert best_aurc(2, 4) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert coverage_at_risk(confidence, correct, 0.05) == 0.25
    assert coverage_at_risk(confidence, correct, 0.34) == 0.75  # the risk may rise and fall again
    assert coverage_at_risk(confidence, correct, 0.5) == 1.0
    assert coverage_at_risk(confidence, ~correct, 0.05) == 0.0


def test_ties_share_their_errors_and_are_cut_together():
    confidence, correct = np.array([0.9, 0.5, 0.5]), np.array([True, False, True])
    assert risk_curve(confidence, correct)[0].tolist() == pytest.approx([0, 0.25, 1 / 3])
    assert coverage_at_risk(confidence, correct, 0.3) == pytest.approx(1 / 3)


def test_ties_are_the_mean_over_their_orders():
    confidence, correct = drawn(40, 3, 0)
    rng = np.random.default_rng(1)
    curves = [risk_curve(confidence + 1e-9 * rng.permutation(40), correct)[0] for _ in range(4000)]
    assert np.abs(risk_curve(confidence, correct)[0] - np.mean(curves, axis=0)).max() < 0.03


@settings(max_examples=80, deadline=None)
@given(n=st.integers(1, 60), levels=st.integers(1, 60), seed=st.integers(0, 999), risk=st.sampled_from([0.05, 0.3]))
def test_bounds_order_and_the_best_and_worst_case(n, levels, seed, risk):
    confidence, correct = drawn(n, levels, seed)
    errors, order = int((~correct).sum()), np.random.default_rng(seed).permutation(n)
    area = aurc(confidence, correct)
    assert area == aurc(confidence[order], correct[order])
    assert best_aurc(errors, n) - 1e-12 <= area <= 1.0
    sure = np.where(correct, 2.0, 1.0) + np.linspace(0, 0.5, n)
    assert aurc(sure, correct) == pytest.approx(best_aurc(errors, n))
    assert aurc(-sure, correct) >= area - 1e-12
    share = coverage_at_risk(confidence, correct, risk)
    assert 0 <= share <= 1
    if share:
        taken = np.argsort(-confidence, kind="stable")[: round(share * n)]
        assert (~correct[taken]).mean() <= risk + 1e-9


def test_in_the_scores():
    test = outcomes(300, seed=2)
    s = scored(outcomes(200, seed=1), test)
    p = test.logits.softmax(-1)
    right = (p.argmax(-1) == test.labels).numpy()
    assert s["aurc"] == pytest.approx(aurc(p.max(-1).values.double().numpy(), right), abs=1e-6)
    assert s["e_aurc"] == pytest.approx(s["aurc"] - best_aurc(int((~right).sum()), 300))
    assert s["e_aurc"] >= 0 and s["coverage_at_risk@0.05"] <= s["coverage_at_risk@0.1"]
