from __future__ import annotations

import dataclasses
import pickle

import pytest
import torch

from bench import heads
from bench.budgets import geometric_quotas, quota_thresholds, threshold_exits
from bench.exits import mean_cost
from bench.inference import exit_macs, simulate
from bench.method import Infeasible
from bench.rules import max_probability
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_task

BUDGETS = [0.1, 0.3, 0.45, 0.6, 0.8, 1.0]
NAMES = [
    "boostednet[heads=boosted[epochs=6]]",
    "l2w_den[heads=l2w[epochs=6,interval=2,hidden=32]]",
    "ztw[heads=ztw[epochs=6,ensemble_steps=20]]",
]


def recipe(name: str) -> str:
    return name.partition("heads=")[2][:-1]


@pytest.fixture(scope="module", params=NAMES)
def fitted(request):
    task = make_task(300)
    return request.param, task, load_methods([request.param])[0].fit(task, BUDGETS)


def cost(policy, task):
    return float(simulate(policy, task.val, task.macs).macs.double().mean()) / task.macs[-1]


def test_each_budget_is_met_on_val_and_more_buys_no_less(fitted):
    _, task, policies = fitted
    assert isinstance(policies[0], Infeasible)
    costs = [cost(p, task) for p in policies[1:]]
    assert all(c <= b + 1e-9 for c, b in zip(costs, BUDGETS[1:], strict=True))
    assert costs == sorted(costs)
    assert costs[2] > 0.5


def test_answers_are_those_of_the_recipe(fitted):
    name, task, policies = fitted
    played = simulate(policies[3], task.val, task.macs).exit_logits
    torch.testing.assert_close(played, heads.fit(recipe(name), task).logits(task.val), atol=0, rtol=0)


def test_a_budget_is_answered_the_same_whatever_else_is_asked(fitted):
    name, task, policies = fitted
    alone = load_methods([name])[0].fit(task, [0.6])[0]
    assert torch.equal(alone.thresholds, policies[3].thresholds)


def test_policies_survive_pickling_and_row_order(fitted):
    _, task, policies = fitted
    policy = pickle.loads(pickle.dumps(policies[3]))
    before = simulate(policies[3], task.val, task.macs)
    after = simulate(policy, task.val, task.macs, batch_size=37)
    assert torch.equal(before.exit_index, after.exit_index)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "exits", "classes"), [(2, 4, 3), (40, 1, 3), (40, 4, 1), (2, 2, 1)])
def test_tiny_tasks(name, n, exits, classes):
    task = make_task(n, exits=exits, classes=classes)
    for policy in load_methods([name])[0].fit(task, [0.5, 1.0]):
        assert isinstance(policy, Infeasible) or cost(policy, task) <= 1.0


def test_boosted_answers_decide_and_their_sums_are_counted():
    task = make_task(300)
    policy = load_methods([NAMES[0]])[0].fit(task, [0.6])[0]
    raw = [policy.head(k, task.val.inputs(k), ()) for k in range(5)]
    played = simulate(policy, task.val, task.macs)
    torch.testing.assert_close(played.exit_logits[:, 2], raw[2] + raw[1] / 2 + raw[0] / 4)
    torch.testing.assert_close(played.exit_logits[:, 4], raw[4] + played.exit_logits[:, 3] / 2)
    expected = threshold_exits(max_probability(played.exit_logits), policy.thresholds)
    assert torch.equal(played.exit_index, expected)
    # 12·6 for a head, 6 for the sum, 6 for the score; the last exit has the sum alone
    assert [policy.macs(k) for k in range(5)] == [78, 84, 84, 84, 6]


def test_zero_time_waste_has_one_threshold_on_the_ensembles_and_counts_cascade_and_ensembles():
    task = make_task(300)
    policy = load_methods([NAMES[2]])[0].fit(task, [0.6])[0]
    assert len(policy.thresholds.unique()) == 1
    assert [policy.macs(k) for k in range(5)] == [72 + 6 + 6, 120 + 12 + 6, 120 + 18 + 6, 120 + 24 + 6, 0]
    costs = exit_macs(policy, task.macs)
    assert costs[4] - task.macs[4] == 84 + 138 + 144 + 150


def test_l2w_den_solves_its_thresholds_on_val_not_on_train():
    # 64 features and few samples: the heads know their train split far too well
    task = make_task(120, dims=64, classes=4, exits=4)
    easy = dataclasses.replace(task.train, features=tuple(3 * x for x in task.train.features))
    task = dataclasses.replace(task, train=easy, shared_cache={})
    method, budget = load_methods(["l2w_den[heads=l2w[epochs=15,interval=4,hidden=16,lr=0.05]]"])[0], 0.6
    policy = method.fit(task, [budget])[0]
    assert cost(policy, task) <= budget
    fitted = heads.fit(method.config.heads, task)
    ratios = torch.cat([torch.logspace(-5, 5, 257, base=2, dtype=torch.float64), torch.tensor([1e-30, 1e30])])
    quotas = geometric_quotas(ratios, 4)
    costs = torch.tensor(exit_macs(policy, task.macs)) / task.macs[-1]
    confidence = {name: max_probability(fitted.logits(getattr(task, name))) for name in ("train", "val")}
    solved = {name: quota_thresholds(c, quotas) for name, c in confidence.items()}
    assert (solved["val"] == policy.thresholds).all(1).any()
    # what train would have promised costs more than the budget on new samples
    promised = mean_cost(threshold_exits(confidence["train"], solved["train"]), costs)
    chosen = int(torch.where(promised <= budget, promised, -1.0).argmax())
    assert float(mean_cost(threshold_exits(confidence["val"], solved["train"][chosen]), costs)) > budget + 0.02
