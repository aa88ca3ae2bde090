from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from bench import heads
from bench.errors import UserError
from bench.heads.layers import LinearHeads, Net, fold, standardiser
from bench.heads.plain import Plain, PlainConfig
from bench.heads.training import TrainingConfig, adamw, by_autograd, descend, nll, nll_gradient, together
from bench.heads.ztw import Cascade
from bench.method import ExitData
from tests.helpers.tasks import make_task


def uneven(data: ExitData, widths: tuple[int, ...]) -> ExitData:
    return dataclasses.replace(data, features=tuple(x[:, :w] for x, w in zip(data.features, widths, strict=True)))


@pytest.fixture
def mixed_task():
    """A task whose exits are 12, 7, 12 and 5 features wide."""
    task = make_task(200)
    widths = (12, 7, 12, 5)
    return dataclasses.replace(task, train=uneven(task.train, widths), val=uneven(task.val, widths))


def one_by_one(task, c):
    """Train plain heads exit by exit, with nothing batched over exits, and keep each one's best epoch."""
    generator = torch.Generator().manual_seed(task.seed)
    layers = [torch.randn(x.shape[1], task.num_classes, generator=generator) * 0.01 for x in task.train.features]
    orders = [torch.randperm(len(task.train), generator=generator) for _ in range(c.epochs)]
    result = []
    labels = task.val.labels
    for x, v, weight in zip(task.train.features, task.val.features, layers, strict=True):
        mean, std = standardiser(x)
        w, b = weight.requires_grad_(), torch.zeros(task.num_classes, requires_grad=True)
        optimiser = torch.optim.AdamW([w, b], lr=c.lr, weight_decay=c.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, c.epochs * -(-len(x) // c.batch_size))
        lowest, best = float("inf"), None
        for order in orders:
            for rows in order.split(c.batch_size):
                optimiser.zero_grad()
                z = (x[rows] - mean) / std @ w + b
                nn.functional.cross_entropy(z, task.train.labels[rows]).backward()
                optimiser.step()
                schedule.step()
            loss = nn.functional.cross_entropy((v - mean) / std @ w + b, labels).item()
            if loss < lowest:
                lowest, best = loss, fold(w.detach().clone(), b.detach().clone(), mean, std)
        result.append(best)
    return LinearHeads(result)


def test_all_exits_at_once_are_trained_like_one_after_the_other(mixed_task):
    config = PlainConfig(epochs=12, batch_size=64, lr=0.05)
    fused, single = Plain(config).fit(mixed_task), one_by_one(mixed_task, config)
    for a, b in zip(fused.layers, single.layers, strict=True):
        torch.testing.assert_close(a.weight, b.weight, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(a.bias, b.bias, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("width", [0, 9])
def test_fitted_layers_on_raw_features_say_what_the_net_says_on_standardised_ones(mixed_task, width):
    net = Net(mixed_task.train, 6, width, torch.Generator().manual_seed(0))
    fitted = net.heads(net.parameters)
    expected = net(net.inputs(mixed_task.val))
    for k, x in enumerate(mixed_task.val.features):
        torch.testing.assert_close(fitted(k, x, ()), expected[k], atol=1e-4, rtol=1e-4)


def test_a_gradient_reaches_the_exit_that_owns_the_parameter_alone(mixed_task):
    net = Net(mixed_task.train, 6, 0, torch.Generator().manual_seed(0))
    net(net.inputs(mixed_task.train))[1].square().sum().backward()
    for p, exits in zip(net.parameters, net.exit_of, strict=True):
        touched = p.grad.flatten(1).any(1) if p.grad is not None else torch.zeros(len(exits), dtype=torch.bool)
        assert torch.equal(touched, exits == 1)


@pytest.mark.parametrize("width", [0, 9])
@pytest.mark.parametrize("kind", [Net, Cascade])
def test_gradients_are_those_of_autograd(mixed_task, kind, width):
    net = kind(mixed_task.train, 6, width, torch.Generator().manual_seed(0))
    inputs = net.inputs(mixed_task.train)

    rows = torch.arange(len(mixed_task.train))

    def loss(logits, rows):
        return nll(logits, mixed_task.train.labels[rows]).mean(1).square().sum()

    expected = torch.autograd.grad(loss(net(inputs), rows), net.parameters)
    net.differentiate(inputs, lambda logits: by_autograd(loss)(logits, rows))
    for p, gradient in zip(net.parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("samples", [7, 256])
@pytest.mark.parametrize("weight", [None, lambda losses: 1 + 0.3 * losses.tanh()])
def test_the_gradient_of_the_nll_is_that_of_autograd_to_the_bit(samples, weight):
    g = torch.Generator().manual_seed(0)
    logits, labels = 5 * torch.randn(3, samples, 11, generator=g), torch.randint(11, (samples,), generator=g)

    def loss(logits, rows):
        losses = nll(logits, labels)
        return (losses if weight is None else weight(losses.detach()) * losses).mean(1).sum()

    assert torch.equal(nll_gradient(logits, labels, weight), by_autograd(loss)(logits, None))


def follow(scores, beat=None):
    """Let one number per exit go -1, -2, … with the epochs while these are the scores; return what is kept."""
    value = torch.zeros(2, 1, requires_grad=True)
    optimiser = torch.optim.SGD([value], lr=1.0)
    told = iter(scores)

    def differentiate(rows):
        for group in optimiser.param_groups:
            group["lr"] = 1.0
        value.grad = torch.ones_like(value)

    kept = descend(
        optimiser,
        [value],
        [torch.arange(2)],
        differentiate,
        lambda: torch.tensor(next(told)),
        samples=3,
        epochs=len(scores),
        batch_size=3,
        generator=torch.Generator().manual_seed(0),
        beat=beat,
    )
    return kept[0][:, 0].tolist()


def test_each_exit_keeps_its_own_best_epoch_and_the_first_of_equals():
    assert follow([[3.0, 1.0], [2.0, 1.0], [2.5, 4.0]]) == [-2.0, -1.0]


def test_heads_that_go_together_keep_one_epoch():
    assert together(torch.tensor([1.0, 3.0])).tolist() == [2.0, 2.0]


def test_an_epoch_that_does_not_beat_the_start_is_not_kept():
    assert follow([[3.0, 1.0], [2.0, 0.5]], beat=torch.tensor([2.0, 0.75])) == [0.0, -2.0]


def test_an_undefined_score_is_never_kept():
    nan = float("nan")
    assert follow([[nan, 1.0], [2.0, nan], [3.0, 0.5]]) == [-2.0, -3.0]


def test_nll_is_that_of_each_exit_and_sample():
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1, 1, 2])
    expected = [[-logits[k, i].log_softmax(-1)[labels[i]] for i in range(5)] for k in range(3)]
    torch.testing.assert_close(nll(logits, labels), torch.tensor(expected))


def test_every_epoch_has_an_order_of_its_own_and_sees_all_samples():
    seen = []
    value = torch.zeros(1, 1, requires_grad=True)

    def differentiate(rows):
        seen.append(rows.tolist())
        value.grad = torch.ones_like(value)

    descend(
        torch.optim.AdamW([value], lr=0.1),
        [value],
        [torch.arange(1)],
        differentiate,
        lambda: torch.zeros(1),
        samples=7,
        epochs=2,
        batch_size=4,
        generator=torch.Generator().manual_seed(0),
    )
    first, second = seen[0] + seen[1], seen[2] + seen[3]
    assert [len(rows) for rows in seen] == [4, 3, 4, 3]
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


@pytest.mark.parametrize(
    "spec", ["plain[width=-1]", "plain[batch_size=0]", "plain[lr=0]", "boosted[rho=2]", "l2w[interval=0]",
             "ztw[ensemble_lr=0]", "distilled[temperature=0]", "distilled[labels=2]", "calibrated[base=nothing]",
             "calibrated[base=boosted[rho=2]]"],
)  # fmt: skip
def test_a_bad_setting_is_refused(spec):
    with pytest.raises(UserError):
        heads.fit(spec, make_task(20))


def test_a_layer_learns_the_slower_the_more_inputs_it_has():
    data = ExitData((torch.randn(9, 8), torch.randn(9, 400)), torch.randn(9, 3), torch.zeros(9, dtype=torch.int64))
    net = Net(data, 3, 4, torch.Generator().manual_seed(0))
    groups = adamw(net, TrainingConfig(lr=0.03, rate=1.0, weight_decay=0.5)).param_groups
    rates = {tuple(p.shape): g["lr"] for g in groups for p in g["params"]}
    assert rates[(1, 8, 4)] == 0.03 and rates[(1, 400, 4)] == pytest.approx(1 / 400)
    assert rates[(2, 4, 3)] == 0.03 and rates[(2, 1, 3)] == 0.03
    assert {g["weight_decay"] for g in groups} == {0.5}
