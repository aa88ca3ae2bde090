"""Jensen–Shannon divergence of successive exits: values by hand and by scipy, patience, thresholds of budgets."""

from __future__ import annotations

import math

import pytest
import torch
from bench.methods.js_divergence import Agreement, JSDivergence, JSDivergenceConfig, divergences
from scipy.spatial.distance import jensenshannon

from bench.inference import simulate
from bench.method import Infeasible
from bench.rules import ThresholdPolicy
from tests.helpers.tasks import GivenHeads, given_task


def test_values_by_hand():
    certain = torch.tensor([[[200.0, 0.0], [0.0, 200.0], [0.0, 200.0]]])
    torch.testing.assert_close(divergences(certain), torch.tensor([[math.log(2), 0]], dtype=torch.float64))
    p = torch.tensor([[[0.5, 0.5], [0.9, 0.1]]], dtype=torch.float64)
    mean, h = (0.7, 0.3), lambda q: -sum(x * math.log(x) for x in q)
    assert divergences(p.log()).item() == pytest.approx(h(mean) - (h((0.5, 0.5)) + h((0.9, 0.1))) / 2, abs=1e-12)


def test_values_by_scipy():
    logits = 3 * torch.randn(30, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.softmax(-1).numpy()
    expected = torch.tensor([[jensenshannon(x[k], x[k + 1]) ** 2 for k in range(3)] for x in p])
    torch.testing.assert_close(divergences(logits), expected)


def test_saturated_and_single_classes_stay_finite():
    g = torch.Generator().manual_seed(0)
    for logits in (1e4 * torch.randn(9, 3, 4, generator=g).sign(), torch.randn(9, 3, 1, generator=g)):
        assert divergences(logits).isfinite().all() and (divergences(logits) >= 0).all()


def sequence():
    """Binary answers whose steps are large, small, small, large, small."""
    p = torch.tensor([0.1, 0.9, 0.88, 0.86, 0.2, 0.19], dtype=torch.float64)
    return torch.stack([p, 1 - p], -1).log()[None]


def test_patience_waits_for_a_run_of_small_divergences():
    logits = sequence()
    at = []
    for patience in (1, 2, 3):
        policy = ThresholdPolicy(GivenHeads(), Agreement(patience), torch.full((6,), -0.01), 2)
        at.append(next((k for k in range(5) if policy.leave(k, logits[:, : k + 1]).item()), 5))
    assert at == [2, 3, 5]


def test_the_gate_of_the_first_exit_only_remembers():
    assert [Agreement(1).macs(k, 10) for k in range(3)] == [20, 30, 30]


def test_nobody_leaves_before_there_is_something_to_compare():
    g = torch.Generator().manual_seed(0)
    task = given_task(torch.randn(60, 5, 3, generator=g), torch.zeros(60, dtype=torch.int64))
    for patience in (1, 2):
        method = JSDivergence(JSDivergenceConfig(patience=patience))
        below, above, half = method.fit(task, [0.2 * (patience + 1) - 0.01, 0.2 * (patience + 1) + 0.01, 0.8])
        assert isinstance(below, Infeasible)
        assert simulate(above, task.val, task.macs).exit_index.min() == patience
        left = simulate(half, task.val, task.macs)
        assert 0.76 < left.macs.double().mean() / task.macs[-1] <= 0.8
        d = divergences(left.exit_logits)
        theta = -float(half.thresholds[-1])
        for row, at in zip(d.tolist(), left.exit_index.tolist(), strict=True):
            runs = [k for k in range(patience, 4) if max(row[k - patience : k]) <= theta]
            assert at == (runs[0] if runs else 4)


def test_a_patience_of_nothing_is_refused():
    with pytest.raises(ValueError, match="patience=0"):
        JSDivergenceConfig(patience=0)
