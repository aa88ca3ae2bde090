from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.exits import (
    ForwardPass,
    at_exits,
    cumulative_distribution,
    exit_distribution,
    first_exit,
    mean_cost,
    uncertainty_features,
)

unit = st.floats(0, 1, width=32)


@pytest.mark.parametrize("name", ["jeidnn_small", "jeidnn_wide"])
def test_golden_gate_features_and_exit_model(golden, name):
    d = {k: torch.from_numpy(v) for k, v in np.load(golden / f"{name}.npz").items()}
    features = uncertainty_features(d["logits"][:, :-1])
    torch.testing.assert_close(features.double(), d["features"].double(), atol=1e-5, rtol=0)
    z = (d["features"] * d["gate_weight"]).sum(-1) + d["gate_bias"]
    torch.testing.assert_close(z.double(), d["gate_logits"].double(), atol=1e-4, rtol=0)
    marginal, conditional = exit_distribution(torch.sigmoid(d["gate_logits"]))
    torch.testing.assert_close(marginal.double(), d["exit_probability"].double(), atol=1e-5, rtol=0)
    assert torch.equal(first_exit(conditional), d["exit_index"].long())


def test_features_of_uniform_and_certain_predictions():
    uniform = uncertainty_features(torch.zeros(5))
    torch.testing.assert_close(uniform, torch.tensor([0.2, np.log(5), 0.0, np.log(5)], dtype=torch.float32))
    certain = uncertainty_features(torch.tensor([1e4, 0.0, 0.0]))
    torch.testing.assert_close(certain, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    torch.testing.assert_close(uncertainty_features(torch.tensor([[3.0]])), torch.tensor([[1.0, 0.0, 1.0, 0.0]]))


def test_features_of_a_hand_worked_distribution():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    squares = p.square() / p.square().sum()
    expected = torch.stack([p[0], -(p * p.log()).sum(), p[0] - p[1], -(squares * squares.log()).sum()])
    torch.testing.assert_close(uncertainty_features(p.log()), expected)


@pytest.mark.parametrize(
    ("g", "marginal", "conditional", "leaves"),
    [
        ([0.3, 0.4, 0.9], [0.3, 0.4, 0.3], [0.3, 0.4 / 0.7, 1.0], 1),
        ([0.45, 0.45, 0.45], [0.45, 0.45, 0.1], [0.45, 0.45 / 0.55, 1.0], 1),
        ([0.21] * 4, [0.21] * 4, [0.21, 0.21 / 0.79, 0.21 / 0.58, 0.21 / 0.37], 3),
        ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], 2),
        ([1.0, 1.0], [1.0, 0.0], [1.0, 1.0], 0),
    ],
)
def test_hand_worked_exit_distributions(g, marginal, conditional, leaves):
    got = exit_distribution(torch.tensor(g, dtype=torch.float64))
    torch.testing.assert_close(got[0], torch.tensor(marginal, dtype=torch.float64))
    torch.testing.assert_close(got[1], torch.tensor(conditional, dtype=torch.float64), atol=1e-9, rtol=0)
    assert int(first_exit(got[1])) == leaves


@given(arrays(np.float32, (4, 7), elements=unit))
def test_marginals_are_a_sub_distribution_and_rebuild_from_conditionals(g):
    marginal, conditional = exit_distribution(torch.from_numpy(g).double())
    assert (marginal >= 0).all() and (marginal.sum(-1) <= 1 + 1e-9).all()
    assert (conditional >= 0).all() and (conditional <= 1).all()
    survivors = torch.cumprod(1 - conditional, -1)
    before = torch.cat([torch.ones(4, 1, dtype=torch.float64), survivors[:, :-1]], -1)
    reached = before > 1e-6
    torch.testing.assert_close((conditional * before)[reached], marginal[reached], atol=1e-9, rtol=1e-6)


def test_mean_cost_averages_over_samples_per_point():
    index = torch.tensor([[0, 1, 2, 2], [0, 0, 0, 0]])
    torch.testing.assert_close(
        mean_cost(index, torch.tensor([1.0, 2.0, 4.0])), torch.tensor([2.75, 1.0], dtype=torch.float64)
    )


def test_cumulative_reading_by_hand():
    marginal, cumulative = cumulative_distribution(torch.tensor([0.2, 0.1, 0.6, 0.4], dtype=torch.float64))
    torch.testing.assert_close(cumulative, torch.tensor([0.2, 0.2, 0.6, 0.6], dtype=torch.float64))
    torch.testing.assert_close(marginal, torch.tensor([0.2, 0.0, 0.4, 0.0], dtype=torch.float64))


def test_values_are_read_where_each_policy_leaves():
    values = torch.tensor([[0.5, 0.2, 0.0], [1.0, -1.0, 0.0]])
    exits = torch.tensor([[2, 2], [1, 1], [0, 2]])
    assert at_exits(values, exits).tolist() == [[0, 0], pytest.approx([0.2, -1]), [0.5, 0]]
    assert torch.equal(at_exits(values, exits[1:][None]), at_exits(values, exits[1:])[None])


def test_a_forward_pass_hands_on_logits_and_combines_them():
    forward = ForwardPass(
        lambda k, features, previous: features + sum(previous), lambda k, logits: logits.flip(1)[:, 0] * 10**k
    )
    first = forward.step(torch.tensor([[1.0], [2.0], [3.0]]))
    assert first.flatten().tolist() == [1, 2, 3]
    forward.keep(torch.tensor([True, False, True]))
    assert forward.step(torch.tensor([[10.0], [30.0]])).flatten().tolist() == [110, 330]
    assert forward.answers[..., 0].tolist() == [[1, 110], [3, 330]]
