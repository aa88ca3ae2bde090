from __future__ import annotations

import pytest
import torch

from bench.inference import exit_macs, simulate
from bench.method import Infeasible
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_task

BUDGETS = [0.1, 0.3, 0.45, 0.6, 0.8, 1.0]
NAMES = [
    "msdnet_thresh",
    "msdnet_thresh[ratios=published]",
    "entropy_thresh",
    "jeidnn",
    "jeidnn[preset=released,epochs=3,points=6]",
    "jeidnn[preset=paper,epochs=5,points=4]",
]


@pytest.fixture(scope="module", params=NAMES)
def fitted(request):
    task = make_task(500)
    return task, load_methods([request.param])[0].fit(task, BUDGETS)


def test_one_policy_per_budget_and_each_meets_it_on_val(fitted):
    task, policies = fitted
    assert len(policies) == len(BUDGETS)
    for budget, policy in zip(BUDGETS, policies, strict=True):
        if isinstance(policy, Infeasible):
            assert str(budget) in str(policy)
            continue
        cost = simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1]
        assert cost <= budget + 1e-9


def test_a_budget_below_the_first_exit_is_infeasible_and_larger_ones_are_not(fitted):
    _, policies = fitted
    assert isinstance(policies[0], Infeasible)
    assert not any(isinstance(p, Infeasible) for p in policies[1:])


def test_heads_and_gates_are_counted_at_every_intermediate_exit(fitted):
    task, policies = fitted
    costs = exit_macs(policies[-1], task.macs)
    head = task.train.features[0].shape[1] * task.num_classes
    for k, (cost, backbone) in enumerate(zip(costs[:-1], task.macs[:-1], strict=True)):
        assert cost > backbone + (k + 1) * head
    assert costs[-1] - task.macs[-1] == costs[-2] - task.macs[-2]


def test_same_seed_gives_the_same_policy():
    for name in NAMES:
        states = [load_methods([name])[0].fit(make_task(300), [0.6])[0].state_dict() for _ in range(2)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


@pytest.mark.parametrize("name", NAMES)
def test_more_budget_never_buys_a_cheaper_policy(name):
    task = make_task(500)
    policies = load_methods([name])[0].fit(task, BUDGETS)[1:]
    costs = [float(simulate(p, task.val, task.macs).macs.double().mean()) for p in policies]
    assert costs == sorted(costs)


def test_thresholds_beat_random_exits_of_the_same_shares():
    task = make_task(1500)
    for name in ("msdnet_thresh", "entropy_thresh", "jeidnn"):
        o = simulate(load_methods([name])[0].fit(task, [0.6])[0], task.val, task.macs)
        accuracy = (o.logits.argmax(-1) == o.labels).double().mean()
        per_exit = (o.exit_logits.argmax(-1) == o.labels[:, None]).double().mean(0)
        shares = torch.bincount(o.exit_index, minlength=task.num_exits) / len(o.labels)
        assert accuracy > (shares * per_exit).sum() + 0.02
