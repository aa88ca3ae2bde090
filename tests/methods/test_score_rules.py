"""Exit rules by the score of one answer: max-probability, margin, energy, entropy; and quotas that cannot be filled."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch

from bench.budgets import geometric_quotas
from bench.inference import simulate
from bench.method import Infeasible
from bench.rules import energy, margin, max_probability, negative_entropy
from bench.trials.plan import load_methods
from tests.helpers.tasks import given_task, make_task

SCORES = {
    "global_thresh": max_probability,
    "margin_thresh": margin,
    "energy_thresh": energy,
    "entropy_thresh": negative_entropy,
}
BUDGETS = [0.1, 0.3, 0.45, 0.6, 0.8, 1.0]


@pytest.fixture(scope="module")
def task():
    return make_task(200, val=400)


def fit(name, task, budgets):
    return load_methods([name])[0].fit(task, budgets)


def logits_of(probabilities):
    return torch.tensor(probabilities, dtype=torch.float64).log().float()


def test_margin_and_energy_by_hand():
    torch.testing.assert_close(
        margin(logits_of([[0.6, 0.3, 0.1], [0.1, 0.45, 0.45]])).float(), torch.tensor([0.3, 0.0]), atol=1e-6, rtol=0
    )
    z = torch.tensor([[0.0, 0.0], [math.log(3), math.log(5)]])
    torch.testing.assert_close(energy(z), torch.tensor([math.log(2), math.log(8)], dtype=torch.float64))
    assert margin(torch.tensor([[3.0]])).tolist() == [1.0]
    assert energy(torch.tensor([[3.0]])).tolist() == [3.0]


def test_an_equal_shift_of_all_logits_moves_the_energy_alone():
    z = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(energy(z + 2), energy(z) + 2)
    torch.testing.assert_close(margin(z + 2), margin(z))


def test_confident_answers_that_float32_would_tie_keep_their_order():
    z = torch.tensor([[20.0, 0, 0], [22.0, 0, 0], [25.0, 0, 0]])
    assert len(z.softmax(-1).amax(-1)[1:].unique()) == 1
    for score in (margin, max_probability, energy, negative_entropy):
        assert (score(z).diff() > 0).all()


@pytest.mark.parametrize("name", SCORES)
def test_each_sample_leaves_at_the_first_exit_whose_score_reaches_the_threshold(name, task):
    policy = fit(name, task, [0.6])[0]
    o = simulate(policy, task.val, task.macs)
    threshold = float(policy.thresholds[0])
    assert (policy.thresholds == threshold).all()
    for row, left in zip(o.exit_logits, o.exit_index.tolist(), strict=True):
        scores = [float(SCORES[name](answer[None])) for answer in row[:-1]]
        assert left == next((k for k, s in enumerate(scores) if s >= threshold), len(scores))
    assert len(o.exit_index.unique()) > 2


@pytest.mark.parametrize("name", SCORES)
def test_budgets_are_met_and_nearly_spent_on_val(name, task):
    policies = fit(name, task, BUDGETS)
    assert isinstance(policies[0], Infeasible)
    for budget, policy in zip(BUDGETS[1:], policies[1:], strict=True):
        cost = float(simulate(policy, task.val, task.macs).macs.double().mean()) / task.macs[-1]
        assert budget - 0.005 < cost <= budget
        alone = fit(name, task, [budget])[0]
        assert torch.equal(alone.thresholds, policy.thresholds)


def test_max_probability_and_entropy_disagree_by_hand():
    """Exit 0 answers (.49 .49 .02) and (.6 .2 .2): the first has the lower entropy, the second the larger maximum."""
    p = [[[0.49, 0.49, 0.02], [1 / 3] * 3], [[0.6, 0.2, 0.2], [1 / 3] * 3]]
    task = given_task(logits_of(p), torch.tensor([0, 0]))
    for name, who in {"global_thresh": 1, "margin_thresh": 1, "entropy_thresh": 0}.items():
        exits = simulate(fit(name, task, [0.76])[0], task.val, task.macs).exit_index.tolist()
        assert exits == [int(i != who) for i in range(2)], name


def test_energy_prefers_large_logits_to_sure_ones():
    z = torch.tensor([[[5.0, 5.0], [0, 0]], [[4.0, -4.0], [0, 0]]])
    task = given_task(z, torch.tensor([0, 0]))
    assert simulate(fit("energy_thresh", task, [0.76])[0], task.val, task.macs).exit_index.tolist() == [0, 1]
    assert simulate(fit("global_thresh", task, [0.76])[0], task.val, task.macs).exit_index.tolist() == [1, 0]


def test_the_gate_of_every_exit_is_counted():
    task = given_task(torch.zeros(4, 3, 7), torch.zeros(4, dtype=torch.int64))
    for name, per_class in {"global_thresh": 1, "margin_thresh": 1, "energy_thresh": 1, "entropy_thresh": 2}.items():
        policy = fit(name, task, [2.0])[0]
        assert [policy.macs(k) for k in range(3)] == [7 * per_class, 7 * per_class, 0]


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("case", ["ties", "saturated", "one class", "two samples", "only the frozen head"])
def test_degenerate_answers_neither_fail_nor_overspend(name, case):
    g = torch.Generator().manual_seed(3)
    logits = {
        "ties": torch.zeros(30, 4, 3),
        "saturated": 1e4 * torch.randn(30, 4, 3, generator=g).sign(),
        "one class": torch.randn(30, 4, 1, generator=g),
        "two samples": torch.randn(2, 4, 3, generator=g),
        "only the frozen head": torch.randn(30, 1, 3, generator=g),
    }[case]
    task = given_task(logits, torch.zeros(len(logits), dtype=torch.int64))
    budgets = [0.1, 0.3, 0.6, 1.0, 1.2]
    assert SCORES[name](logits).isfinite().all()
    for budget, policy in zip(budgets, fit(name, task, budgets), strict=True):
        if isinstance(policy, Infeasible):
            assert budget < task.macs[0] / task.macs[-1] + 0.01
            continue
        assert simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1] <= budget
    full = simulate(fit(name, task, [1.2])[0], task.val, task.macs).exit_index
    assert (full == logits.shape[1] - 1).all()


@pytest.mark.parametrize("name", SCORES)
def test_a_pickled_policy_decides_alike_in_any_batch_and_order(name, task):
    policy = fit(name, task, [0.5])[0]
    left = simulate(policy, task.val, task.macs)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    shuffled = replace(
        task.val,
        features=tuple(x[order] for x in task.val.features),
        final_logits=task.val.final_logits[order],
        labels=task.val.labels[order],
    )
    again = simulate(pickle.loads(pickle.dumps(policy)), shuffled, task.macs, batch_size=128)
    assert (again.exit_index != left.exit_index[order]).sum() <= 1  # matmul may round the threshold's own sample


def test_a_quota_that_cannot_be_filled_leaves_the_exit_closed():
    """All samples tie at exit 0 and leave there together: no later quota can be filled, whatever the ratio."""
    p = torch.full((8, 3, 2), 0.5)
    p[:, 1:, 0], p[:, 1:, 1] = 0.9, 0.1
    task = given_task(p.log(), torch.zeros(8, dtype=torch.int64))
    policy = fit("msdnet_thresh", task, [0.4])[0]
    assert policy.thresholds.tolist() == [0.5, math.inf, -math.inf]
    assert simulate(policy, task.val, task.macs).exit_index.tolist() == [0] * 8


def test_quotas_of_less_than_one_sample_leave_exits_closed():
    """Two samples cannot give each of four exits its quarter: only a front-loaded ratio lets anyone out early."""
    assert (geometric_quotas(1.0, 4) * 2).floor().sum() == 0
    p = torch.tensor([[0.9, 0.8, 0.8, 0.8], [0.6, 0.7, 0.8, 0.9]])
    task = given_task(torch.stack([p, 1 - p], -1).log(), torch.tensor([0, 0]))
    low, high = fit("msdnet_thresh", task, [0.64, 1.01])
    assert low.thresholds[0] == pytest.approx(0.9) and torch.isinf(low.thresholds[1:]).all()
    assert simulate(low, task.val, task.macs).exit_index.tolist() == [0, 3]
    assert simulate(high, task.val, task.macs).exit_index.tolist() == [3, 3]
