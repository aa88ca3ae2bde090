from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from bench.methods.jeidnn import GatedPolicy, JEIDNNConfig, gate_targets
from bench.methods.jeidnn import gates as gates_module
from bench.methods.jeidnn.gates import Gates, single_distribution
from bench.methods.jeidnn.targets import cross_entropy, exit_risk, positive_weight
from torch.nn.functional import binary_cross_entropy_with_logits

from bench.exits import exit_distribution, first_true, uncertainty_features
from bench.inference import simulate
from bench.method import Infeasible
from bench.recipe import Heads
from bench.rules import logistic
from bench.rules.mixing import coin
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_task

NAN = float("nan")


def same(got: torch.Tensor, expected: list) -> bool:
    return torch.allclose(got.double(), torch.tensor(expected, dtype=torch.float64), atol=1e-6, equal_nan=True)


def test_gate_targets_by_hand():
    losses = torch.tensor([[2.0, 1.0, 0.5], [0.1, 0.0, 0.0], [3.0, 3.0, 0.0], [1.0, 1.0, 1.0]])
    costs = torch.tensor([0.2, 0.6, 1.0])
    assert gate_targets(losses, costs, 0.0).tolist() == [[0, 0], [0, 1], [0, 0], [1, 1]]
    assert gate_targets(losses, costs, 1.0).tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]
    assert gate_targets(losses, costs, 100.0).tolist() == [[1, 1]] * 4


def test_gate_targets_take_a_grid_of_lambda_at_once():
    g = torch.Generator().manual_seed(0)
    losses, costs = torch.rand(50, 4, generator=g), torch.tensor([0.2, 0.5, 0.8, 1.0])
    lam = torch.tensor([0.01, 0.5, 2.0])
    fused = gate_targets(losses, costs, lam[:, None, None])
    assert torch.equal(fused, torch.stack([gate_targets(losses, costs, float(v)) for v in lam]))
    assert (fused[1:].sum((1, 2)) >= fused[:-1].sum((1, 2))).all()


def test_target_schemes_by_hand():
    losses = torch.tensor([[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    taught = {s: gate_targets(losses, torch.zeros(4), 0.0, s) for s in ("subsequent", "only", "ignore_subsequent")}
    assert same(taught["subsequent"], [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    assert same(taught["only"], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert same(taught["ignore_subsequent"], [[1, NAN, NAN], [0, 1, NAN], [0, 0, 1], [0, 0, 0]])


def test_remaining_targets_forget_earlier_exits():
    losses = torch.tensor([[0.1, 0.9, 0.8, 0.4], [0.5, 0.3, 0.6, 0.3]])
    assert same(gate_targets(losses, torch.zeros(4), 0.0), [[1, 1, 1], [0, 1, 1]])
    assert same(gate_targets(losses, torch.zeros(4), 0.0, "remaining"), [[1, 0, 0], [0, 1, 0]])
    costs = torch.tensor([0.1, 0.2, 0.3, 1.0])
    assert same(gate_targets(losses, costs, 0.7, "remaining"), [[1, 0, 1], [0, 1, 1]])
    assert same(gate_targets(losses, costs, torch.inf, "remaining"), [[1, 1, 1], [1, 1, 1]])


def test_objectives_by_hand():
    logits = torch.tensor([[[3.0, 1.0], [1.0, 3.0]], [[1.0, 1.0], [1.0, 4.0]]], dtype=torch.float64).log()
    labels = torch.tensor([0, 1])
    assert same(exit_risk(logits, labels, "ce").exp(), [[4 / 3, 4], [2, 5 / 4]])
    assert same(exit_risk(logits, labels, "zeroOne"), [[-1, 0], [0, -1]])
    assert same(exit_risk(logits, labels, "prob"), [[-0.75, 0], [0, -0.8]])
    assert torch.equal(exit_risk(logits, labels), cross_entropy(logits, labels))


def test_positive_weights_count_leavers_up_to_or_at_each_exit():
    targets = torch.tensor([[[1, 1], [0, 1], [0, 1], [0, 0]]], dtype=torch.float64)
    assert positive_weight(targets, "cumulative").tolist() == [[3.0, pytest.approx(1 / 3)]]
    assert positive_weight(targets, "released").tolist() == [[3.0, 1.0]]
    assert positive_weight(targets, "none").tolist() == [[1.0, 1.0]]
    assert positive_weight(torch.zeros(1, 4, 2), "cumulative").tolist() == [[5.0, 5.0]]


def test_positive_weights_where_only_the_best_exit_is_a_positive():
    best = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]])
    taught = torch.tensor([[[1.0, NAN], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]])
    for scheme, targets in (("only", best), ("ignore_subsequent", taught)):
        assert positive_weight(targets, "released", scheme).tolist() == [[3.0, 1.0]]
    assert positive_weight(best, "global", "only").tolist() == [[pytest.approx(5 / 3)] * 2]
    assert positive_weight(taught, "global", "ignore_subsequent").tolist() == [[pytest.approx(4 / 3)] * 2]
    assert positive_weight(torch.zeros(1, 4, 2), "global").tolist() == [[1.0, 1.0]]


def gate_loss(features, weight, bias, targets, pos_weight):
    """Return the loss that gates minimise, and its gradients for weight and bias."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    z = torch.einsum("ngf,gf->ng", features, weight) + bias
    loss = binary_cross_entropy_with_logits(z, targets, pos_weight=pos_weight)
    return loss.detach(), *torch.autograd.grad(loss, (weight, bias))


def arrays(file) -> dict[str, torch.Tensor]:
    d = {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(file).items()}
    return {k: v.double() if v.is_floating_point() else v.long() for k, v in d.items()}


def check_gate_loss(d, losses, features):
    targets = gate_targets(losses, d["costs"], float(d["lam"]))
    got = gate_loss(features, d["gate_weight"], d["gate_bias"], targets, d["pos_weight"])
    for value, name in zip(got, ("gate_loss", "gate_weight_grad", "gate_bias_grad"), strict=True):
        torch.testing.assert_close(value, d[name], atol=1e-5, rtol=0)


def test_golden_gate_loss_and_gradient(golden):
    d = arrays(golden / "jeidnn_losses.npz")
    check_gate_loss(d, d["losses"], d["features"])


@pytest.mark.parametrize("name", ["jeidnn_small", "jeidnn_wide"])
def test_golden_gate_loss_and_gradient_from_the_logits(shared, name):
    d = arrays(shared / "golden" / f"{name}.npz")
    check_gate_loss(d, exit_risk(d["logits"], d["labels"]), uncertainty_features(d["logits"][:, :-1]))


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_newton_reaches_the_minimum_that_gradient_descent_cannot_improve(steps):
    g = torch.Generator().manual_seed(steps)
    inputs = torch.randn(300, 2, 4, generator=g).double() * torch.tensor([1.0, 4.0, 0.1, 2.0])
    truth = torch.tensor([1.0, -0.5, 3.0, 0.2], dtype=torch.float64)
    targets = torch.stack(
        [(inputs @ truth + torch.randn(300, 2, generator=g).double() > shift).double() for shift in (-1.0, 0.5)]
    )
    pos_weight = torch.tensor([[1.0, 3.0], [0.5, 5.0]])
    weight, bias = logistic.solve(inputs, targets, pos_weight, ridge=1e-6)
    weight.requires_grad_()
    z = torch.einsum("ngf,pgf->png", inputs, weight) + bias[:, None]
    loss = binary_cross_entropy_with_logits(z, targets, pos_weight=pos_weight[:, None].double())
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.abs().max() < 1e-4


def test_newton_leaves_out_what_has_no_target():
    g = torch.Generator().manual_seed(0)
    half = torch.randn(200, 1, 4, generator=g, dtype=torch.float64)
    inputs = torch.cat([half, -half])  # the mean and the spread of all are those that standardise below
    targets = (inputs.sum(-1) + torch.randn(400, 1, generator=g) > 0).double()[None]
    kept = torch.cat([torch.ones(200, dtype=torch.bool), torch.rand(200, generator=g) < 0.5])
    scale = inputs.std(0, correction=0)
    pos_weight = torch.full((1, 1), 2.0)
    partial = targets.masked_fill(~kept[None, :, None], NAN)
    weight, bias = logistic.solve(inputs / scale, partial, pos_weight, ridge=1e-9)
    alone = logistic.solve((inputs / scale)[kept], targets[:, kept], pos_weight, ridge=1e-9)
    torch.testing.assert_close(weight, alone[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(bias, alone[1], atol=1e-4, rtol=1e-4)


def test_gates_stay_finite_where_all_targets_agree():
    inputs = torch.rand(50, 3, 4)
    for value in (0.0, 1.0):
        weight, bias = logistic.solve(inputs, torch.full((2, 50, 3), value), torch.full((2, 3), 5.0))
        assert weight.isfinite().all() and bias.isfinite().all()
        z = torch.einsum("ngf,pgf->png", inputs.double(), weight) + bias[:, None]
        assert ((z > 0) == bool(value)).all()
    nothing = torch.full((1, 50, 3), NAN)
    assert all(x.eq(0).all() for x in logistic.solve(inputs, nothing, torch.ones(1, 3)))


def test_the_single_exit_model_by_hand():
    for g, conditional, marginal in (
        ([0.3, 0.4, 0.9], [0.3, 4 / 7, 1], [0.3, 0.4, 0.3]),
        ([0.2] * 4, [0.2, 0.25, 1 / 3, 0.5], [0.2] * 4),
        ([1.0, 0.0], [1, 1], [1, 0]),
    ):
        got = single_distribution(torch.tensor(g, dtype=torch.float64))
        assert same(got[0], marginal) and same(got[1], conditional)


def test_the_single_exit_model_decides_as_the_clipped_one():
    g = torch.rand(2000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for single, clipped in zip(single_distribution(g), exit_distribution(g), strict=True):
        reached = exit_distribution(g)[0].cumsum(-1) - exit_distribution(g)[0] < 1 - 1e-9
        torch.testing.assert_close(single[reached], clipped[reached], atol=1e-9, rtol=0)


def gates_of(values: list[float], reading: str) -> Gates:
    """Return gates that give every sample these values."""
    g = torch.tensor(values, dtype=torch.float64)
    return Gates(torch.zeros(len(values), 4, dtype=torch.float64), g.logit(), reading)


@pytest.mark.parametrize(
    ("reading", "values", "leaves"),
    [
        ("cumulative", [0.2, 0.1, 0.6], {0.1: 0, 0.3: 2, 0.59: 2, 0.61: 3}),
        ("clipped", [0.3, 0.4, 0.9], {0.0: 0, 0.29: 0, 0.31: 1, 0.69: 1, 0.71: 2, 0.99: 2}),
        ("single", [0.3, 0.4, 0.1], {0.29: 0, 0.69: 1, 0.79: 2, 0.81: 3}),
    ],
)
def test_a_coin_picks_the_exit_by_hand(reading, values, leaves):
    coins = torch.tensor(list(leaves), dtype=torch.float64)
    features = torch.zeros(len(coins), len(values), 4, dtype=torch.float64)
    assert first_true(gates_of(values, reading).leave(features, coins)).tolist() == list(leaves.values())


class Echo(Heads):
    """Heads whose features are their logits."""

    def forward(self, k, features, previous):
        return features

    def macs(self, k):
        return 0


def policy_of(reading: str, exits: int = 6, draw: int | None = None) -> GatedPolicy:
    """Return gates that open slowly: all exits are used."""
    weight = torch.tensor([3.0, -1.0, 1.0, 0.1]).expand(exits - 1, 4)
    return GatedPolicy(Echo(), Gates(weight, torch.linspace(-5, -1.5, exits - 1), reading), 4, draw)


READINGS = ["cumulative", "clipped", "single"]


@pytest.mark.parametrize("draw", [None, 7])
@pytest.mark.parametrize("reading", READINGS)
def test_a_policy_leaves_where_all_its_gates_together_say(reading, draw):
    policy = policy_of(reading, draw=draw)
    logits = 2 * torch.randn(60, 6, 4, generator=torch.Generator().manual_seed(0))
    drawn = None if draw is None else coin(logits[:, 0], draw)
    expected = first_true(policy.gates.leave(uncertainty_features(logits[:, :-1]), drawn))
    assert len(expected.unique()) > 3
    for batch in (60, 25, 1):
        for order in (torch.arange(60), torch.arange(60).flip(0)):
            taken = torch.full((60,), 5)
            for rows in order.split(batch):
                stop = torch.stack([policy.leave(k, logits[rows, : k + 1]) for k in range(5)], 1)
                taken[rows] = first_true(stop)
            assert torch.equal(taken, expected)


@pytest.mark.parametrize("reading", READINGS)
def test_every_exit_is_described_once(reading, monkeypatch):
    described = []  # predictions per call

    def counted(x):
        described.append(x.shape[:-1].numel())
        return uncertainty_features(x)

    monkeypatch.setattr(gates_module, "uncertainty_features", counted)
    policy = policy_of(reading)
    for logits in torch.randn(2, 20, 6, 4):
        for k in range(5):
            policy.leave(k, logits[:, : k + 1])
    assert sum(described) == 2 * 20 * 5


@pytest.mark.parametrize("reading", READINGS)
def test_what_a_policy_recalls_never_changes_an_answer(reading):
    g = torch.Generator().manual_seed(1)
    first, second = (2 * torch.randn(50, 6, 4, generator=g) for _ in range(2))
    policy = policy_of(reading)
    fresh = [[policy_of(reading).leave(k, x[:, : k + 1]) for k in range(5)] for x in (first, second)]
    for k in range(5):  # two batches by turns, then a batch that shrinks, then a jump
        for x, answers in zip((first, second), fresh, strict=True):
            assert torch.equal(policy.leave(k, x[:, : k + 1]), answers[k])
    for k in range(5):
        rows = torch.arange(k, 50)
        assert torch.equal(policy.leave(k, first[rows, : k + 1]), fresh[0][k][rows])
    policy.leave(1, first[:, :2])
    assert torch.equal(policy.leave(4, first[:, :5]), fresh[0][4])


@pytest.mark.parametrize("reading", READINGS)
def test_answers_may_be_written_over_between_calls(reading):
    first, second = 2 * torch.randn(2, 50, 6, 4, generator=torch.Generator().manual_seed(1))
    buffer, policy = first.clone(), policy_of(reading)
    policy.leave(2, buffer[:, :3])
    buffer.copy_(second)
    assert torch.equal(policy.leave(3, buffer[:, :4]), policy_of(reading).leave(3, second[:, :4]))


def test_the_coin_is_counted_at_the_first_exit():
    plain, drawn = ([policy_of("clipped", draw=d).macs(k) for k in range(6)] for d in (None, 0))
    assert plain == [42] * 5 + [0] and drawn == [46] + [42] * 4 + [0]
    task = make_task(200)
    (policy,) = load_methods(["jeidnn[decision=prob,scheme=subsequent]"])[0].fit(task, (0.5,))
    assert policy.macs(0) - policy.macs(1) == task.num_classes


def test_a_policy_takes_no_answers_along_when_pickled():
    policy = policy_of("clipped")
    before = len(pickle.dumps(policy))
    policy.leave(0, torch.randn(500, 1, 4))
    assert len(pickle.dumps(policy)) == before
    again = pickle.loads(pickle.dumps(policy))
    logits = torch.randn(50, 3, 4)
    assert torch.equal(again.leave(2, logits), policy.leave(2, logits))


def test_random_exits_have_the_shares_of_their_probabilities():
    logits = 2 * torch.randn(8_000, 6, 4, generator=torch.Generator().manual_seed(0))
    for reading in READINGS:
        policy = policy_of(reading, draw=0)
        stop = torch.stack([policy.leave(k, logits[:, : k + 1]) for k in range(5)], 1)
        shares = torch.bincount(first_true(stop), minlength=6)[:5] / len(logits)
        expected = policy.gates.marginal(uncertainty_features(logits[:, :-1])).mean(0)
        torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"points": 1}, "at least 2"),
        ({"epochs": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"warmup_epochs": -1}, "at least 0"),
        ({"lr": 0.0}, "above 0"),
        ({"lr": NAN}, "above 0"),
        ({"im_loss": "expected"}, "only solver=sgd"),
        ({"im_loss": "single"}, "only solver=sgd"),
        ({"solver": "sgd", "heads": "boosted"}, "needs solver=newton"),
        ({"preset": "paper", "reading": "single"}, "reading=single does not have"),
        ({"scheme": "only"}, "give reading=clipped"),
        ({"scheme": "ignore_subsequent"}, "give reading=clipped"),
        ({"scheme": "only", "reading": "clipped", "pos_weight": "cumulative"}, "pos_weight=released"),
        ({"preset": "paper", "scheme": "only"}, "pos_weight=released"),
        ({"preset": "paper", "scheme": "remaining"}, "give reading=cumulative"),
        ({"decision": "prob"}, "decision=deterministic, or scheme=subsequent"),
        ({"reading": "clipped"}, "or scheme=subsequent"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        JEIDNNConfig(**options)


VARIANTS = [
    "objective=zeroOne",
    "objective=prob,gate_data=train",
    "reading=single,scheme=subsequent",
    "scheme=only,reading=clipped",
    "scheme=ignore_subsequent,reading=clipped,pos_weight=global",
    "decision=prob,scheme=subsequent",
    "decision=prob,reading=clipped,scheme=subsequent",
    "preset=released,objective=zeroOne,epochs=3,points=4",
    "preset=released,im_loss=single,phases=continue,epochs=4,points=4",
    "preset=released,scheme=ignore_subsequent,pos_weight=global,epochs=3,points=4",
    "preset=paper,im_loss=single,reading=single,scheme=only,pos_weight=released,decision=prob,epochs=5,points=4",
    "scheme=subsequent",
]


@pytest.mark.parametrize("options", VARIANTS)
def test_every_option_gives_policies_within_their_budgets(options):
    task = make_task(300)
    none, *policies = load_methods([f"jeidnn[{options}]"])[0].fit(task, (0.1, 0.5, 0.9))
    assert isinstance(none, Infeasible)
    for budget, policy in zip((0.5, 0.9), policies, strict=True):
        assert simulate(policy, task.val, task.macs).macs.double().mean() <= budget * task.macs[-1] + 1e-6
        assert all(x.isfinite().all() for x in policy.state_dict().values())


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("shape", [{"classes": 1}, {"n": 2}, {"exits": 2}, {"exits": 1}], ids=str)
def test_every_option_survives_degenerate_tasks(options, shape):
    task = make_task(**({"n": 60} | shape))
    for policy in load_methods([f"jeidnn[{options}]"])[0].curve(task, [0.0, 0.5, 50.0]):
        assert all(x.isfinite().all() for x in policy.state_dict().values())
        assert simulate(policy, task.val, task.macs).logits.isfinite().all()


def test_options_change_what_is_taught():
    task = make_task(400)
    exits = {}
    for options in ("points=24", *VARIANTS[:6]):
        (policy,) = load_methods([f"jeidnn[{options}]"])[0].curve(task, [0.4])
        exits[options] = simulate(policy, task.val, task.macs).exit_index
    for options in VARIANTS[:2] + VARIANTS[3:6]:
        assert not torch.equal(exits[options], exits["points=24"]), options
