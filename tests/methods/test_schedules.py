"""Methods that learn how many samples should leave where: EENet's scheduler and EERO's exit rates."""

from __future__ import annotations

import dataclasses
import math
import pickle

import pytest
import torch
from bench.methods.eenet import EENet, EENetConfig, LinearScore
from bench.methods.eenet import schedule as scheduler
from bench.methods.eenet.losses import plan_loss, score_loss
from bench.methods.eenet.schedule import Trainer
from bench.methods.eero import EERO, EEROConfig, admissible, aggregate

from bench.budgets import quota_thresholds, threshold_exits
from bench.exits import mean_cost
from bench.heads.adamw import AdamW
from bench.inference import exit_macs, simulate
from bench.method import ExitData, Infeasible, Task
from bench.rules.rates import rate_exits, rate_thresholds, tilt, whole
from bench.trials.references import StaticExits
from tests.helpers.tasks import make_split, make_task

BUDGETS = (0.1, 0.3, 0.6, 0.9)
COSTS = torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64)
QUICK = EENetConfig(restarts=2, rounds=2, steps=5)
METHODS = {
    "eenet": EENet(QUICK),
    "clipped": EENet(dataclasses.replace(QUICK, clip=True)),
    "eero": EERO(EEROConfig(vectors=64)),
}


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def task():
    return make_task(400)


@pytest.fixture(scope="module", params=METHODS)
def fitted(request, task):
    return METHODS[request.param], METHODS[request.param].fit(task, BUDGETS)


# Rates


def test_tilted_rates_cost_the_target_and_keep_their_order_of_size():
    rates = tensor(0.5, 0.2, 0.3)
    for target in (0.25, 0.52, 0.8, 0.99):
        found = tilt(rates, COSTS, tensor(target)[0])
        assert float(found.sum()) == pytest.approx(1) and float(found @ COSTS) == pytest.approx(target, abs=1e-9)
        ratio = (found / rates).log()  # linear in the cost
        assert float(ratio[1] - ratio[0]) == pytest.approx(float(ratio[2] - ratio[1]))
    assert torch.allclose(tilt(rates, COSTS, rates @ COSTS), rates)


def test_tilt_reaches_the_ends_even_from_rates_of_zero():
    assert tilt(tensor(1, 0, 0), COSTS, tensor(0.1, 0.9, 2.0)[:, None]).shape == (3, 1, 3)
    assert tilt(tensor(1, 0, 0), COSTS, tensor(2.0)[0]).tolist() == pytest.approx([0, 0, 1])
    assert tilt(tensor(0, 0, 1), COSTS, tensor(0.1)[0]).tolist() == pytest.approx([1, 0, 0])


def test_whole_rates_are_counts_and_nobody_leaves_later():
    rates = torch.tensor([[0.31, 0.33, 0.36], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], dtype=torch.float64)
    counts = whole(rates, 10) * 10
    assert counts.tolist() == [[4, 3, 3], [10, 0, 0], [2, 5, 3]]
    assert (whole(rates, 10).cumsum(-1) >= rates.cumsum(-1) - 1e-9).all()


def test_exits_of_rates_are_those_of_quota_thresholds():
    g = torch.Generator().manual_seed(0)
    for ties in (False, True):
        scores = torch.rand(6, 40, 4, generator=g)
        scores = (scores * 4).round() / 4 if ties else scores
        rates = torch.rand(6, 4, generator=g).double().softmax(-1)
        for s, r, found in zip(scores, rates, rate_exits(scores, rates), strict=True):
            assert torch.equal(found, threshold_exits(s, quota_thresholds(s, whole(r, 40))))


def test_ties_that_would_break_the_budget_make_the_rates_cheaper():
    # exit 0 should take five of ten, but nine tie; the tenth cannot fill exit 1's quota and would run to the end
    scores = torch.tensor([[0.9, 0.5]] * 9 + [[0.1, 0.2]], dtype=torch.float64)
    costs, rates = tensor(0.1, 0.15, 1.0), tensor(0.5, 0.5, 0)
    naive = quota_thresholds(torch.nn.functional.pad(scores, (0, 1)), rates)
    assert float(mean_cost(threshold_exits(scores, naive), costs)) > 0.15
    found = rate_thresholds(scores, rates, costs, 0.15)
    assert float(mean_cost(threshold_exits(scores, found), costs)) <= 0.15


def test_thresholds_let_the_rates_leave():
    scores = torch.rand(100, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exits = threshold_exits(scores, rate_thresholds(scores, tensor(0.3, 0.5, 0.2), COSTS, 0.57))
    assert torch.bincount(exits).tolist() == [30, 50, 20]


# EERO


def test_exponential_weights_by_hand():
    # exit 0 is right for the two it is sure of, exit 1 for all: rates (1/2, 1/2) make no error, (1, 0) two
    scores = tensor(0.9, 0.8, 0.3, 0.2)[:, None]
    correct = torch.tensor([[True, True], [True, True], [False, True], [False, True]])
    vectors = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    w = 1 / (1 + math.exp(-2 * 0.7))
    assert aggregate(scores, correct, vectors, beta=0.7).tolist() == pytest.approx([0.5 * w + 1 - w, 0.5 * w])
    assert aggregate(scores, correct, vectors, beta=1e3).tolist() == pytest.approx([0.5, 0.5])


def test_rates_are_admissible_and_so_is_their_mean():
    draws = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vectors = admissible(draws, COSTS, 0.5)
    cost = vectors @ COSTS
    assert float(cost.max()) <= 0.5 + 1e-9 and float(cost.min()) == pytest.approx(0.2, abs=1e-6)
    assert int((cost > 0.5 - 1e-6).sum()) > 100
    assert float(vectors.mean(0) @ COSTS) <= 0.5


def test_eero_beats_mixing_static_exits(task):
    test = make_split(1500, exits=5, classes=6, dims=12, seed=77)
    (policy,) = EERO().fit(task, [0.6])
    played = simulate(policy, test, task.macs)
    hull = StaticExits.measure(policy.heads, task, test)
    zero_skill, _ = hull.expected(hull.shares("hull", 0.6))
    assert float((played.logits.argmax(-1) == played.labels).double().mean()) > zero_skill["accuracy"] + 0.02
    assert float(simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1]) > 0.57


# EENet: the rule


def test_scores_by_hand():
    logits = torch.tensor([[[math.log(3), 0.0], [0.0, 0.0]]])  # p = (3/4, 1/4), then even
    own = torch.tensor([[1.0, 2.0, 0.5, -1.0], [0.0, 0.0, 0.0, 0.0]])
    earlier = torch.tensor([[9.0, 9.0], [0.25, 9.0]])  # only [1, 0] is before its exit
    score = LinearScore(own, earlier)
    surprise = 1 + (0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    first = 0.75 + 0.5 + 0.375 - surprise
    assert float(score(0, logits[:, :1])) == pytest.approx(first, abs=1e-6) and first > 1
    assert float(score(1, logits)) == pytest.approx(0.25)  # exit 0's score enters clipped to 1
    assert score.all(logits).shape == (1, 1) and score.macs(1, 2) == 2 * 2 + 4 + 1
    clipped = LinearScore(own, earlier, clip=True)
    assert float(clipped(0, logits[:, :1])) == 1 and float(clipped(1, logits)) == pytest.approx(0.25)


def test_a_score_sees_no_later_exit():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 5, 6, generator=g)
    score = LinearScore(torch.randn(5, 8, generator=g), torch.randn(5, 5, generator=g))
    gates = [score(k, logits[:, : k + 1]) for k in range(4)]
    assert torch.equal(torch.stack(gates, 1), score.all(logits))


def test_no_gradient_flows_into_earlier_scores():
    base = [torch.full((3,), 0.4, requires_grad=True) for _ in range(2)]
    scheduler.chain(base, torch.full((2, 2), 0.5))[..., 1].sum().backward()
    assert base[0].grad.tolist() == [0, 0, 0] and base[1].grad.tolist() == [1, 1, 1]


# EENet: what the released code had wrong


def trainer(task: Task, budgets=(0.6,), **settings) -> Trainer:
    from bench import heads

    logits = heads.fit("plain", task).logits(task.val)
    costs = torch.tensor(task.macs, dtype=torch.float64) / task.macs[-1]
    config = dataclasses.replace(EENetConfig(restarts=2, rounds=1, steps=2, batch_size=10**6), **settings)
    return Trainer(logits, task.val.labels, costs, budgets, config, seed=0)


def test_both_losses_are_defined_and_have_their_values():
    scores, correct = tensor(0.8, 0.3)[:, None], tensor(1, 0)[:, None]
    weights = tensor(0.25, 0.75)[:, None]
    wanted = -(0.25 * math.log(0.8) + 0.75 * math.log(0.7))
    assert float(score_loss(scores, correct, weights)) == pytest.approx(wanted)
    target = tensor(0.5, 0.25, 0.25).expand(4, 3)
    even = torch.zeros(4, 3, dtype=torch.float64)
    divergence = (0.5 * math.log(0.5 * 3) + 0.5 * math.log(0.25 * 3)) / 3  # nn.KLDivLoss averages over exits too
    each = torch.nn.functional.kl_div(even.log_softmax(-1), target, reduction="none")
    assert float(each.mean()) == pytest.approx(divergence)
    got = plan_loss(even, target, COSTS, tensor(0.5)[0], ce=2.0, cost=10.0)
    assert float(got) == pytest.approx(2 * divergence + 10 * 0.1 / 0.5)


def test_scores_and_losses_belong_to_single_samples(task):
    t = trainer(task)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(3))
    scores = t.scores(slice(None))
    assert scores.shape == (1, 2, 400, 5)
    assert torch.allclose(t.scores(order), scores[:, :, order], atol=1e-5)
    even = torch.full_like(scores, 1 / 400)
    each = [score_loss(scores[:, :, i : i + 1], t.correct[i : i + 1], even[:, :, :1]) for i in range(400)]
    assert torch.allclose(score_loss(scores, t.correct, even), torch.stack(each).sum(0), atol=1e-4)


def test_gradients_do_not_pile_up_over_steps(task, monkeypatch):
    seen: dict[int, list[torch.Tensor]] = {}

    def record(self):
        seen.setdefault(id(self), []).append(self.param_groups[0]["params"][-1].grad.clone())

    t = trainer(task, steps=3)
    monkeypatch.setattr(AdamW, "_update", record)  # no step is taken, so every gradient should be the same
    t.run()
    assert len(seen) == 2
    for first, *others in seen.values():
        assert float(first.abs().max()) > 0 and len(others) == 2
        assert all(torch.allclose(first, g, rtol=1e-3, atol=1e-7) for g in others)


def test_what_is_kept_is_not_the_live_model(task):
    t = trainer(task, rounds=4, steps=4, lr=1.0, batch_size=64)
    accuracies: list[float] = []
    better = t._better

    def spy(best, rates):
        found = better(best, rates)
        accuracies.append(float(better(None, rates).accuracy))
        return found

    t._better = spy
    kept = t.run()
    assert accuracies[-1] < max(accuracies)  # so that an alias of the live model would be found out
    t.own.data = kept.own[:, :, None].expand_as(t.own).contiguous()
    t.earlier.data = kept.earlier[:, None].expand_as(t.earlier).contiguous()
    exits = rate_exits(t.scores(slice(None)), kept.rates[:, None].expand(-1, 2, -1))
    again = t.correct.expand(1, 2, -1, -1).gather(-1, exits[..., None]).mean((-2, -1))
    assert float(again[0, 0]) == pytest.approx(float(kept.accuracy), abs=0.01)
    assert float(kept.accuracy) in accuracies


@pytest.mark.parametrize(("budget", "exit_index"), [(0.21, 0), (0.99, 4)])
def test_plans_are_not_capped_by_a_sigmoid(task, budget, exit_index):
    kept = trainer(task, budgets=(budget,), rounds=3, steps=20, batch_size=128).run()
    cap = math.e / (math.e + 4)  # the most that one of 5 exits could get
    assert abs(float(kept.planned) - budget) <= 0.1 * budget
    assert float(kept.rates[0, exit_index]) > 0.9 > cap


def test_the_most_accurate_restart_planned_within_a_tenth_of_the_budget_wins(task):
    t = trainer(task, budgets=(0.4, 0.6), restarts=4)
    found = t.run()
    rates = t._full_plans().double().mean(-2)
    near = (rates @ t.costs.double() / t.budgets[:, None] - 1).abs() <= 0.1
    exits = rate_exits(t.scores(slice(None)), tilt(rates, t.costs, t.budgets[:, None]))
    right = t.correct.expand(2, 4, -1, -1).gather(-1, exits[..., None]).mean((-2, -1))
    assert near.any(-1).all() and not near.all() and len(set(right[0].tolist())) > 1
    best = right.masked_fill(~near, -1.0)
    assert torch.allclose(found.accuracy, best.amax(-1))
    for b, r in enumerate(best.argmax(-1)):
        assert torch.equal(found.own[b], t.own[b, :, r])


# Both methods


def test_every_budget_is_met_on_val_or_infeasible(fitted, task):
    _, policies = fitted
    assert isinstance(policies[0], Infeasible) and "0.1" in str(policies[0])
    for budget, policy in zip(BUDGETS[1:], policies[1:], strict=True):
        cost = float(simulate(policy, task.val, task.macs).macs.double().mean()) / task.macs[-1]
        assert cost <= budget + 1e-9


def test_the_score_is_counted_at_every_intermediate_exit(fitted, task):
    method, policies = fitted
    costs = exit_macs(policies[-1], task.macs)
    own = [3 * 6 + 2 + k if method.name == "eenet" else 6 for k in range(4)]
    for k in range(4):
        assert costs[k] == task.macs[k] + (k + 1) * 12 * 6 + sum(own[: k + 1])
    assert costs[4] == task.macs[4] + costs[3] - task.macs[3]


@pytest.mark.parametrize("name", METHODS)
def test_a_budget_s_answer_is_its_own(name, task):
    together = METHODS[name].fit(task, BUDGETS)[2]
    (alone,) = METHODS[name].fit(task, [BUDGETS[2]])
    a, b = (simulate(p, task.val, task.macs) for p in (together, alone))
    assert torch.equal(a.exit_index, b.exit_index)


def test_policies_survive_pickling_and_do_not_see_batch_or_order(fitted, task):
    policy = pickle.loads(pickle.dumps(fitted[1][2]))
    whole_, parts = (simulate(p, task.val, task.macs, batch_size=n) for p, n in ((fitted[1][2], 4096), (policy, 37)))
    assert float((whole_.exit_index == parts.exit_index).double().mean()) > 0.99
    order = torch.randperm(len(task.val), generator=torch.Generator().manual_seed(1))
    data = ExitData(tuple(f[order] for f in task.val.features), task.val.final_logits[order], task.val.labels[order])
    assert torch.equal(simulate(policy, data, task.macs).exit_index, whole_.exit_index[order])


def edge(kind: str) -> Task:
    if kind == "one exit":
        return make_task(30, exits=1)
    if kind == "one class":
        return make_task(30, classes=1)
    if kind == "two samples":
        return make_task(2)
    task = make_task(40)
    change = {
        "ties": lambda x: torch.zeros_like(x),
        "saturated": lambda x: torch.where(x > 0, 1e4, -1e4),
    }[kind]
    parts = {}
    for name in ("train", "val"):
        data = getattr(task, name)
        parts[name] = ExitData(tuple(change(f) for f in data.features), change(data.final_logits), data.labels)
    return dataclasses.replace(task, **parts)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["one exit", "one class", "two samples", "ties", "saturated"])
def test_edge_cases(name, kind):
    task = edge(kind)
    for budget, policy in zip((0.5, 1.0, 1.5), METHODS[name].fit(task, [0.5, 1.0, 1.5]), strict=True):
        if isinstance(policy, Infeasible):
            assert kind == "one exit" and budget < 1
            continue
        played = simulate(policy, task.val, task.macs)
        assert torch.isfinite(played.logits).all()
        assert float(played.macs.double().mean()) <= budget * task.macs[-1] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (EENetConfig, {"restarts": 0}),
        (EENetConfig, {"lr": 0.0}),
        (EEROConfig, {"beta": -1.0}),
        (EEROConfig, {"vectors": 0}),
    ],
)
def test_settings_that_make_no_sense_are_refused(config, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        config(**settings)
