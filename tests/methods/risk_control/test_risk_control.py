from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch
from bench.methods.risk_control import RiskControl, RiskControlConfig, grid, split
from bench.methods.risk_control.levels import BOUND_OF_LOSS, LEVELS, exit_losses

from bench import heads
from bench.exits import at_exits, first_true
from bench.inference import simulate
from bench.method import ExitData, Infeasible, Task
from bench.rules import max_probability
from tests.helpers.tasks import given_task, make_split, make_task

QUICK = "plain[epochs=3]"
BUDGETS = [0.1, 0.35, 0.5, 0.7, 0.9, 1.05]


def control(**settings) -> RiskControl:
    return RiskControl(RiskControlConfig(heads=QUICK, **settings))


@pytest.fixture(scope="module")
def task():
    return make_task(300, exits=4)


def spent(policy, task: Task) -> float:
    return float(simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1])


@pytest.mark.parametrize("loss", BOUND_OF_LOSS)
@pytest.mark.parametrize("bound", LEVELS)
def test_budgets_are_met_and_the_note_says_that_nothing_is_guaranteed(task, loss, bound):
    policies = control(loss=loss, bound=bound).fit(task, BUDGETS)
    assert isinstance(policies[0], Infeasible) and "0.1" in str(policies[0])
    costs = [spent(p, task) for p in policies[1:]]
    assert costs == sorted(costs)
    for b, policy, cost in zip(BUDGETS[1:], policies[1:], costs, strict=True):
        assert cost <= b
        assert policy.note.startswith("no guarantee: the budget chose epsilon=")
        assert loss in policy.note and bound in policy.note


def test_a_budget_gets_the_smallest_epsilon_whose_policy_meets_it(task):
    method = control(bound="naive", loss="consistency")
    policy = method.fit(task, [0.5])[0]
    answers = heads.fit(QUICK, task).logits(task.val)
    losses = exit_losses("consistency", answers, task.val.labels)
    risks, costs = [], []
    for threshold in grid(max_probability(answers[:, :-1]), 501):
        exits = first_true(max_probability(answers[:, :-1]) >= threshold)
        risks.append(float(at_exits(losses, exits[None]).mean()))
        costs.append(float(torch.tensor(task.macs)[exits].double().mean()) / task.macs[-1])
    played = simulate(policy, task.val, task.macs)
    risk = float(at_exits(losses, played.exit_index[None]).mean())
    overhead = spent(policy, task) - float(torch.tensor(task.macs)[played.exit_index].double().mean()) / task.macs[-1]
    assert risk == min(r for r, c in zip(risks, costs, strict=True) if c + 2 * overhead <= 0.5)
    assert f"epsilon={risk:.4f}" in policy.note


def test_what_a_policy_spends_is_a_budget_that_leads_back_to_it(task):
    policy = control(bound="ltt").fit(task, [0.9])[0]
    again = control(bound="ltt").fit(task, [spent(policy, task) + 1e-9])[0]
    assert torch.equal(policy.thresholds, again.thresholds)


def test_thresholds_are_scores_that_occur_and_both_ends():
    inf = float("inf")
    scores = torch.tensor([[0.9, 0.4], [0.9, 1.0], [0.5, 0.7]], dtype=torch.float64)
    assert grid(scores, 10).tolist() == [inf, 1.0, 0.9, 0.7, 0.5, 0.4, -inf]
    assert grid(scores, 3).tolist() == [inf, 1.0, 0.9, 0.4, -inf]  # of six in order: the first, the third, the last
    assert grid(scores[:, :0], 3).tolist() == [inf, -inf]


def test_saturated_confidences_still_give_many_policies():
    """All confidences lie between .99 and 1: a grid in steps of .01 has three policies, the scores have hundreds."""
    g = torch.Generator().manual_seed(0)
    logits = torch.zeros(400, 3, 2)
    logits[..., 0] = 5 + 20 * torch.rand(400, 3, generator=g)
    labels = (torch.rand(400, generator=g) < 0.05).long()
    task = given_task(logits, labels)
    for b in (0.5, 0.6, 0.8):
        policy = RiskControl(RiskControlConfig(bound="crc", loss="brier_gap_top")).fit(task, [b])[0]
        assert b - 0.1 < spent(policy, task) <= b


def test_a_fixed_epsilon_is_one_policy_for_every_budget_that_it_meets(task):
    loose = control(epsilon=0.25, bound="crc").fit(task, BUDGETS)
    feasible = [p for p in loose if not isinstance(p, Infeasible)]
    assert 2 <= len(feasible) < len(BUDGETS)
    assert all(torch.equal(p.thresholds, feasible[0].thresholds) for p in feasible)
    cost = spent(feasible[0], task)
    for b, p in zip(BUDGETS, loose, strict=True):
        assert isinstance(p, Infeasible) == (cost > b)
        if isinstance(p, Infeasible) and b > 0.3:
            assert f"prediction_gap at most 0.25 (crc) costs {cost:.4f}" in str(p)


@pytest.mark.parametrize(
    "bound,words",
    [
        ("ltt", "guarantee (ltt): prediction_gap <= 0.3 with probability 0.9"),
        ("ucb_wsr", "guarantee (ucb_wsr): prediction_gap <= 0.3 with probability 0.9"),
        ("crc", "guarantee (crc): prediction_gap <= 0.3 on average"),
        ("naive", "no guarantee: the mean loss"),
    ],
)
def test_the_note_says_what_a_fixed_epsilon_promises(task, bound, words):
    assert control(epsilon=0.3, bound=bound).fit(task, [1.05])[0].note.startswith(words)


def test_more_risk_buys_speed(task):
    costs = [spent(control(epsilon=e).fit(task, [1.05])[0], task) for e in (0.01, 0.2, 0.4, 1.0)]
    assert costs == sorted(costs, reverse=True) and costs[0] > costs[-1] + 0.2
    assert costs[-1] == pytest.approx(0.25, abs=0.01)  # any risk is allowed: all leave at the first exit


def test_heads_of_a_promise_have_not_seen_what_calibrates_it(task):
    inner, calibration = split(task, True)
    rows = {tuple(x.tolist()) for x in inner.val.final_logits}
    assert rows.isdisjoint(tuple(x.tolist()) for x in calibration.final_logits)
    assert len(inner.val) + len(calibration) == len(task.val)
    assert split(task, True)[0] is inner  # so that its heads are trained once
    same, everything = split(task, False)
    assert same is task and sorted(everything.labels.tolist()) == sorted(task.val.labels.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["ltt", "ucb_wsr", "crc"])
@pytest.mark.parametrize("loss", ["prediction_gap", "consistency", "brier_gap"])
def test_promises_hold_over_resplits(bound, loss):
    """Fit the whole method on 100 fresh val splits; judge each policy on a large population."""
    splits, epsilon = 100, 0.1 * BOUND_OF_LOSS[loss]
    n, shape = 240, {"exits": 3, "classes": 4, "dims": 8}
    population = make_split(4000, seed=990, **shape)
    base = make_task(150, **shape)
    trained = heads.fit("plain[epochs=20]", base)
    answers = trained.logits(population)
    losses = exit_losses(loss, answers, population.labels)
    scores = max_probability(answers[:, :-1])
    draws = torch.randint(len(population), (splits, n), generator=torch.Generator().manual_seed(1))
    method = control(epsilon=epsilon, bound=bound, loss=loss)
    risks = []
    for seed, rows in enumerate(draws):
        val = ExitData(
            tuple(x[rows] for x in population.features), population.final_logits[rows], population.labels[rows]
        )
        task = replace(base, val=val, seed=seed, shared_cache={})
        inner, _ = split(task, True)
        inner.shared_cache[_key(method)] = trained
        policy = method.fit(task, [1.2])[0]
        exits = first_true(scores >= policy.thresholds[:-1])
        risks.append(float(at_exits(losses, exits[None]).mean()))
    risk = torch.tensor(risks)
    assert len(risk.unique()) > 1  # kept by leaving early where that is safe, not by never leaving
    if bound == "crc":
        assert risk.mean() <= epsilon + 3 * risk.std() / math.sqrt(splits)
    else:
        assert (risk > epsilon).double().mean() <= 0.1 + 3 * math.sqrt(0.09 / splits)


def _key(method: RiskControl):
    """Return where `heads.fit` keeps this method's heads in a task's shared_cache."""
    probe = make_task(20, exits=2)
    heads.fit(method.config.heads, probe)
    return next(iter(probe.shared_cache))


def test_policies_can_be_pickled_and_ignore_row_order(task):
    policy = pickle.loads(pickle.dumps(control().fit(task, [0.6])[0]))
    o, order = simulate(policy, task.val, task.macs), torch.arange(len(task.val)).flip(0)
    val = task.val
    turned = ExitData(tuple(x[order] for x in val.features), val.final_logits[order], val.labels[order])
    assert torch.equal(simulate(policy, turned, task.macs, batch_size=13).exit_index, o.exit_index[order])


def test_no_budget_depends_on_the_others(task):
    assert torch.equal(control().fit(task, BUDGETS)[2].thresholds, control().fit(task, [0.5])[0].thresholds)


@pytest.mark.parametrize("epsilon", [None, 0.2])
@pytest.mark.parametrize("bound", LEVELS)
@pytest.mark.parametrize("shape", [(30, 1, 6), (2, 3, 6), (1, 2, 3), (30, 3, 1)], ids=str)
def test_degenerate_tasks(shape, bound, epsilon):
    n, exits, classes = shape
    whole = make_task(n, exits=exits, classes=classes)
    task = replace(whole, train=_saturated(whole.train), val=_saturated(whole.val), shared_cache={})
    for b, policy in zip([0.8, 1.3], control(bound=bound, epsilon=epsilon).fit(task, [0.8, 1.3]), strict=True):
        assert isinstance(policy, Infeasible) or spent(policy, task) <= b


def _saturated(data: ExitData) -> ExitData:
    return ExitData(data.features, data.final_logits * 1e4, data.labels)


@pytest.mark.parametrize(
    "settings,words",
    [({"epsilon": 0.0}, "not a valid risk"), ({"delta": 1.0}, "not a valid probability"), ({"grid": 1}, "at least 2")],
)
def test_settings_that_make_no_sense_are_errors(settings, words):
    with pytest.raises(ValueError, match=words):
        RiskControlConfig(**settings)
