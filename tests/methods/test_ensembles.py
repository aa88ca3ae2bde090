from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch
from bench.methods.anytime_poe import NEVER, AnytimePoE, PoEConfig, product, product_confidence
from bench.methods.caching import Caching, most_confident
from bench.methods.mie_lap import MIEConfig, MIELaplace

from bench import heads
from bench.errors import UserError
from bench.inference import exit_macs, simulate
from bench.method import ExitData, Infeasible, Policy, Task
from bench.rules import max_probability
from tests.helpers.tasks import make_task

BUDGETS = [0.1, 0.35, 0.5, 0.7, 0.9, 1.05]
QUICK = "plain[epochs=5]"
METHODS = {
    "poe": AnytimePoE(PoEConfig(heads=QUICK)),
    "relu": AnytimePoE(PoEConfig(heads=QUICK, activation="relu")),
    "uncentred": AnytimePoE(PoEConfig(heads=QUICK, centre=False)),
    "caching": Caching(Caching.Config(heads=QUICK)),
    "mc": MIELaplace(MIEConfig(heads=QUICK, samples=8)),
    "probit": MIELaplace(MIEConfig(heads=QUICK, predictive="probit")),
    "alone": MIELaplace(MIEConfig(heads=QUICK, samples=8, ensemble=False)),
}


@pytest.fixture(scope="module")
def task():
    return make_task(300, exits=4)


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


def spent(policy: Policy, task: Task) -> float:
    return float(simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1])


# --- product of experts -----------------------------------------------------------------------------------------------


def test_product_by_hand():
    a = torch.tensor([[[2.0, 1.0, -1.0], [3.0, 4.0, 5.0]]])
    p = product(a, 2, "relu", centre=False).softmax(-1)[0]  # weights 1/2 and 1; class 2 is out at the first exit
    odds = math.sqrt(2) * 3 / (1 * 4)
    assert p.tolist() == pytest.approx([odds / (1 + odds), 1 / (1 + odds), 0])
    assert float(p[2]) == 0


def test_centring_takes_each_exits_offset_away():
    a = torch.randn(20, 3, 5, generator=torch.Generator().manual_seed(0))
    shifted = a + torch.tensor([5.0, -7.0, 0.5])[:, None]
    for activation in ("relu", "softplus"):
        assert torch.allclose(product(a, 3, activation), product(shifted, 3, activation), atol=1e-3)
        assert not torch.allclose(product(a, 3, activation, False), product(shifted, 3, activation, False), atol=1e-1)


def test_a_zeroed_class_never_returns():
    a = torch.randn(200, 6, 8, generator=torch.Generator().manual_seed(1))
    a[:, :, 0] = a[:, :, 0].abs() + 4  # one class is always left
    steps = torch.stack([product(a[:, : k + 1], 6, "relu").softmax(-1) for k in range(6)], 1)
    gone = steps == 0
    assert gone.any() and not gone.all(-1).any()
    assert (gone[:, 1:] >= gone[:, :-1]).all()
    assert (gone.sum((0, 2)).diff() > 0).all()


def test_where_no_class_is_left_the_exit_speaks_for_itself():
    a = torch.tensor([[[1.0, -1.0, 0.0], [-1.0, 1.0, 0.5], [0.3, 0.1, 0.9]]])
    for k in (1, 2):
        assert torch.allclose(product(a[:, : k + 1], 3, "relu").softmax(-1), a[:, k].softmax(-1))


def test_by_default_one_weak_exit_does_not_rule_the_right_class_out():
    """Exit 0 puts class 1 below its mean; exits 1 and 2 are sure of it."""
    a = torch.tensor([[[2.0, -1.0, -1.0], [0.2, 4.0, -4.2], [0.2, 4.0, -4.2]]])
    assert product(a, 3).argmax(-1).tolist() == [1]
    assert product(a, 3, "relu").argmax(-1).tolist() == [0]
    assert PoEConfig().activation == "softplus"


def test_softplus_by_hand_and_far_below_zero():
    a = torch.tensor([[[0.0, math.log(math.e - 1)]]], dtype=torch.float64)  # softplus: log 2 and 1
    assert product(a, 1, "softplus", centre=False)[0].tolist() == pytest.approx([math.log(math.log(2)), 0])
    far = torch.tensor([[[-50.0, -900.0]]])
    assert product(far, 1, "softplus", centre=False)[0].tolist() == pytest.approx([-50, -900])


def test_certain_samples_rank_by_their_product():
    logits = torch.tensor([[2.0, NEVER], [3.0, NEVER], [0.0, -40.0], [0.0, -0.1]])
    assert torch.equal(max_probability(logits)[:3], torch.ones(3).double())
    assert product_confidence(logits).argsort(descending=True).tolist() == [1, 0, 2, 3]


def test_ties_of_certainty_do_not_waste_a_budget():
    two = make_task(400, exits=4, classes=2)  # after centring, ReLU leaves one class of two
    policies = METHODS["relu"].fit(two, [0.4, 0.6, 0.8])
    for b, policy in zip([0.4, 0.6, 0.8], policies, strict=True):
        assert b - 0.02 < spent(policy, two) <= b


# --- caching ----------------------------------------------------------------------------------------------------------


def test_caching_by_hand():
    exits = torch.tensor([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3], [0.9, 0.1], [0.96, 0.04]]).log()[None]
    kept = [most_confident(exits[:, : k + 1])[0] for k in range(5)]
    assert [exits[0].tolist().index(row.tolist()) for row in kept] == [0, 1, 1, 1, 4]  # of equals, the earliest


def test_caching_sees_beyond_a_saturated_softmax():
    logits = torch.tensor([[[60.0, 0.0, 0.0], [0.0, 80.0, 0.0], [70.0, 0.0, 0.0]]])
    assert torch.equal(most_confident(logits), logits[:, 1])


def test_the_cached_confidence_never_falls_and_early_leavers_take_their_own_exit():
    task = make_task(300, exits=4)
    timid = replace(task.val, final_logits=task.val.final_logits / 20)  # so that earlier exits may be surer
    task = replace(task, val=timid, shared_cache={})
    policy = METHODS["caching"].fit(task, [0.6])[0]
    o = simulate(policy, task.val, task.macs)
    assert (max_probability(o.exit_logits).diff(dim=1) > -1e-6).all()
    own = heads.fit(QUICK, task).logits(task.val)[torch.arange(len(task.val)), o.exit_index]
    early = o.exit_index < task.num_exits - 1
    assert torch.equal(o.logits[early], own[early])
    assert not torch.equal(o.logits[~early], own[~early])


# --- Laplace and the average of exits ---------------------------------------------------------------------------------


def test_the_average_weighs_exits_by_their_cost():
    task = make_task(120, exits=3)
    mixed = simulate(METHODS["mc"].fit(task, [0.6])[0], task.val, task.macs).exit_logits.softmax(-1)
    policy = METHODS["mc"].fit(task, [0.6])[0]
    with torch.no_grad():
        p = [policy.head(k, task.val.inputs(k), ()).exp() for k in range(3)]
    assert torch.allclose(mixed[:, 0], p[0], atol=1e-5)
    assert torch.allclose(mixed[:, 1], (p[0] + 2 * p[1]) / 3, atol=1e-5)  # macs 100,000, 200,000, 300,000
    assert torch.allclose(mixed[:, 2], (p[0] + 2 * p[1] + 3 * p[2]) / 6, atol=1e-5)


def test_laplace_lowers_the_nll_of_overconfident_heads():
    train = make_task(60, exits=4, dims=40, val=2000)  # fewer samples than a head has weights
    recipe = "plain[epochs=60,weight_decay=0.0]"

    def nll(logits):
        return [float(torch.nn.functional.cross_entropy(logits[:, k], train.val.labels)) for k in range(3)]

    plain = nll(heads.fit(recipe, train).logits(train.val))
    for predictive in ("mc", "probit"):
        config = MIEConfig(heads=recipe, predictive=predictive, ensemble=False)
        policy = MIELaplace(config).fit(train, [0.8])[0]
        assert all(a < b for a, b in zip(nll(simulate(policy, train.val, train.macs).exit_logits), plain, strict=False))


def test_laplace_macs_by_hand(task):
    d, c = task.train.features[0].shape[1], task.num_classes
    laplace = {"mc": (d + 1) ** 2 + 8 * c, "probit": (d + 1) ** 2 + 2 * c, "alone": (d + 1) ** 2 + 8 * c}
    for name, extra in laplace.items():
        policy = METHODS[name].fit(task, [0.7])[0]
        average = [0] * 4 if name == "alone" else [c, 2 * c, 3 * c, 4 * c]  # over the exits so far
        assert [policy.macs(k) for k in range(3)] == [d * c + extra + a + c for a in average[:3]]  # the gate's softmax
        assert policy.macs(3) == average[3]


def test_product_macs_by_hand(task):
    policy, (d, c) = METHODS["poe"].fit(task, [0.7])[0], (task.train.features[0].shape[1], task.num_classes)
    assert [policy.macs(k) for k in range(4)] == [*(d * c + (k + 1) * c + c for k in range(3)), 4 * c]


@pytest.mark.parametrize("recipe", ["boosted[epochs=1]", "plain[epochs=1,width=4]", "ztw[epochs=1]", "calibrated"])
def test_laplace_refuses_heads_that_are_not_linear(task, recipe):
    with pytest.raises(UserError, match="Valid: plain, distilled and l2w"):
        MIELaplace(MIEConfig(heads=recipe)).fit(task, [0.5])


@pytest.mark.parametrize("recipe", ["distilled[epochs=1]", "l2w[epochs=1]"])
def test_laplace_takes_other_linear_heads(task, recipe):
    policy = MIELaplace(MIEConfig(heads=recipe, samples=4)).fit(task, [0.5])[0]
    assert spent(policy, task) <= 0.5


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="samples=0"):
        MIEConfig(samples=0)


# --- all of them ------------------------------------------------------------------------------------------------------


def test_budgets_are_met_closely_and_the_first_is_out_of_reach(method, task):
    policies = method.fit(task, BUDGETS)
    assert isinstance(policies[0], Infeasible)
    costs = [spent(p, task) for p in policies[1:]]
    for b, cost in zip(BUDGETS[1:], costs, strict=True):
        assert min(b, 0.999) - 0.03 < cost <= b + 1e-9
    assert costs == sorted(costs)


def test_no_budget_depends_on_the_others(method, task):
    together, by_itself = method.fit(task, BUDGETS)[2], method.fit(task, [BUDGETS[2]])[0]
    assert torch.equal(together.thresholds, by_itself.thresholds)


def test_policies_mind_neither_batches_nor_row_order_nor_later_exits_and_can_be_pickled(method, task):
    policy = pickle.loads(pickle.dumps(method.fit(task, [0.6])[0]))
    o = simulate(policy, task.val, task.macs)
    order = torch.randperm(len(task.val), generator=torch.Generator().manual_seed(0))
    val = task.val
    shuffled = ExitData(tuple(x[order] for x in val.features), val.final_logits[order], val.labels[order])
    other = simulate(policy, shuffled, task.macs, batch_size=7)
    assert torch.equal(other.exit_index, o.exit_index[order])
    assert torch.allclose(other.logits, o.logits[order], atol=1e-4)
    noisy = ExitData((*val.features[:2], val.features[2] + 9), val.final_logits * -3, val.labels)
    changed = simulate(policy, noisy, task.macs)
    before = o.exit_index < 2
    assert torch.equal(changed.exit_index[before], o.exit_index[before])
    assert torch.equal(changed.exit_logits[:, :2], o.exit_logits[:, :2])


def test_every_exit_charges_at_least_its_head_and_its_softmax(method, task):
    policy = method.fit(task, [0.7])[0]
    d, c = task.train.features[0].shape[1], task.num_classes
    for k, (cost, backbone) in enumerate(zip(exit_macs(policy, task.macs), task.macs, strict=True)):
        assert cost - backbone >= min(k + 1, 3) * (d * c + c)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize(
    "shape",
    [{"n": 30, "exits": 1}, {"n": 2, "exits": 3}, {"n": 30, "exits": 3, "classes": 1}, {"n": 40, "exits": 2}],
    ids=str,
)
def test_degenerate_tasks(method, shape, scale):
    whole = make_task(**shape)

    def scaled(data: ExitData) -> ExitData:
        return ExitData(tuple(x * scale for x in data.features), data.final_logits * scale, data.labels)

    task = Task(scaled(whole.train), scaled(whole.val), whole.macs, whole.num_classes, 0, whole.device)
    for policy in method.fit(task, [0.7, 1.2]):
        if isinstance(policy, Infeasible):
            continue
        o = simulate(policy, task.val, task.macs)
        assert o.exit_logits.isfinite().all()
        assert spent(policy, task) <= 1.2


def test_tied_samples_meet_the_budget(method):
    tied = ExitData((torch.ones(20, 3), torch.ones(20, 3)), torch.zeros(20, 4), torch.arange(20) % 4)
    task = Task(tied, tied, (1000, 2000, 3000), 4, 0, torch.device("cpu"))
    for b, policy in zip([0.5, 0.9, 1.5], method.fit(task, [0.5, 0.9, 1.5]), strict=True):
        assert isinstance(policy, Infeasible) or spent(policy, task) <= b
