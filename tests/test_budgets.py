from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.budgets import (
    geometric_quotas,
    global_thresholds,
    most_expensive_within,
    quota_thresholds,
    threshold_exits,
)
from bench.exits import mean_cost

INF = float("inf")


def test_golden_budgeted_batch_thresholds(golden):
    d = np.load(golden / "msdnet_small.npz")
    confidence = torch.from_numpy(d["confidence"])
    quotas = torch.stack([geometric_quotas(p / 20, confidence.shape[1]) for p in d["threshold_p"]])
    thresholds = quota_thresholds(confidence, quotas)
    expected = torch.from_numpy(d["thresholds"]).float()
    expected = torch.where(expected.abs() >= 1e7, expected.sign() * INF, expected)
    torch.testing.assert_close(thresholds, expected, atol=1e-6, rtol=0)
    cost = mean_cost(threshold_exits(confidence, thresholds), torch.from_numpy(d["costs"]))
    torch.testing.assert_close(cost, torch.from_numpy(d["threshold_cost"]).double(), atol=1e-6, rtol=0)


def test_geometric_quotas_by_hand():
    torch.testing.assert_close(geometric_quotas(2.0, 3), torch.tensor([2 / 14, 4 / 14, 8 / 14], dtype=torch.float64))
    torch.testing.assert_close(
        geometric_quotas(torch.tensor([1.0, 1.0]), 4), torch.full((2, 4), 0.25, dtype=torch.float64)
    )
    assert geometric_quotas(1e-30, 5)[0] == 1


def test_quota_thresholds_by_hand():
    confidence = torch.tensor([[0.9, 0.9], [0.8, 0.1], [0.7, 0.8], [0.1, 0.7]])
    half = quota_thresholds(confidence, torch.tensor([0.5, 0.5]))
    assert half.tolist() == [pytest.approx(0.8), -INF]
    assert threshold_exits(confidence, half).tolist() == [0, 0, 1, 1]


def test_a_quota_of_nobody_and_one_that_cannot_be_filled_are_unreachable():
    confidence = torch.tensor([[0.9, 0.5, 0.5], [0.8, 0.5, 0.5]])
    thresholds = quota_thresholds(confidence, torch.tensor([[0.4, 0.0, 0.6], [1.0, 0.5, 0.0]]))
    assert thresholds[0].tolist() == [INF, INF, -INF]
    assert thresholds[1].tolist() == [pytest.approx(0.8), INF, -INF]


def test_ties_leave_together():
    confidence = torch.tensor([[0.5, 0.0], [0.5, 0.0], [0.5, 0.0], [0.4, 0.0]])
    thresholds = quota_thresholds(confidence, torch.tensor([0.25, 0.75]))
    assert threshold_exits(confidence, thresholds).tolist() == [0, 0, 0, 1]


@given(st.integers(0, 10_000), st.floats(0.02, 1.2))
def test_the_global_threshold_is_the_largest_within_the_budget(seed, budget):
    g = torch.Generator().manual_seed(seed)
    confidence = torch.randint(0, 8, (20, 3), generator=g) / 8  # many ties
    costs = torch.tensor([0.1, 0.4, 0.7, 1.0])
    threshold = float(global_thresholds(confidence, costs, [budget])[0])
    candidates = [-INF, *sorted(set(confidence.flatten().tolist())), INF]

    def cost(t: float) -> float:
        return float(mean_cost(threshold_exits(confidence, torch.full((4,), t)), costs))

    within = [t for t in candidates if cost(t) <= budget]
    assert threshold == (max(within) if within else -INF)


@given(st.integers(0, 10_000))
def test_row_order_does_not_move_a_threshold(seed):
    g = torch.Generator().manual_seed(seed)
    confidence = torch.randint(0, 6, (30, 4), generator=g) / 6
    order = torch.randperm(30, generator=g)
    quotas = geometric_quotas(torch.tensor([0.5, 1.0, 1.7]), 4)
    assert torch.equal(quota_thresholds(confidence, quotas), quota_thresholds(confidence[order], quotas))


def test_dearest_within_takes_the_first_of_equals_and_says_none():
    costs = torch.tensor([0.2, 0.5, 0.5, 0.9], dtype=torch.float64)
    assert most_expensive_within(costs, [0.1, 0.2, 0.6, 1.0]) == [None, 0, 1, 3]
