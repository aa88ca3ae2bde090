from __future__ import annotations

import pytest
import torch

from bench import heads
from bench.heads.layers import Net
from bench.heads.training import nll
from bench.heads.weighting import L2WConfig, Weighting, deal, lookahead, weigh, where_left
from tests.helpers.tasks import make_task


@pytest.fixture
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def weighting(n=40, steps=3, **settings):
    """A training in the middle: the heads have taken some steps."""
    task = make_task(n, exits=4, classes=3, dims=5)
    config = L2WConfig(hidden=7, eps=0.8, **settings)
    result = Weighting(task, Net(task.train, 3, config.width, torch.Generator().manual_seed(0)), config)
    for rows in torch.arange(n).split(10)[:steps]:
        for p in result.net.parameters:
            p.grad = None
        nll(result.net([x[rows] for x in result.train]), task.train.labels[rows]).mean(1).sum().backward()
        result.optimiser.step()
    return result


def test_samples_are_dealt_to_exits_by_hand_and_none_twice():
    confidence = torch.tensor(
        [[0.9, 0.5, 0.4, 0.3, 0.2], [0.9, 0.1, 0.8, 0.7, 0.6], [0.9, 0.3, 0.1, 0.1, 0.8], [0.0, 0.0, 0.0, 0.0, 0.0]]
    )
    # one leaves at exit 0: sample 0, the surest everywhere, whom no later exit may take again; then 2 and 3; then 4
    assert deal(confidence, torch.tensor([0.2, 0.4, 0.2, 0.2])).tolist() == [0, 3, 1, 1, 2]


def test_dealing_with_ties_quotas_too_large_and_no_quota():
    even = torch.full((3, 4), 0.5)
    assert deal(even, torch.tensor([0.5, 0.25, 0.25])).tolist() == [0, 0, 1, 2]
    assert deal(even, torch.tensor([0.75, 0.75, 0.75])).tolist() == [0, 0, 0, 1]
    assert deal(even, torch.tensor([0.0, 0.0, 1.0])).tolist() == [2, 2, 2, 2]


def test_the_meta_objective_by_hand():
    """Three samples leave at exit 0, none at exit 1, one at exit 2."""
    losses = torch.tensor([[1.0, 2.0, 3.0, 90.0], [90.0] * 4, [90.0, 90.0, 90.0, 6.0]])
    left = torch.tensor([0, 0, 0, 2])
    assert where_left(losses, left, "exits").item() == pytest.approx(2 + 6)
    assert where_left(losses, left, "samples").item() == pytest.approx(12 / 4)


@pytest.mark.parametrize("centring", ["mat", "col"])
def test_weights_are_centred_on_one(centring):
    g = torch.Generator().manual_seed(0)
    net = [torch.randn(shape, generator=g) for shape in ((3, 8), (8,), (8, 3), (3,))]
    losses = torch.rand(3, 20, generator=g)
    w = weigh(net, losses, 0.3, centring)
    assert float(w.mean()) == pytest.approx(1)
    assert (float((w.mean(0) - 1).abs().max()) < 1e-6) == (centring == "col")
    assert float((w - 1).abs().max()) <= 0.6
    assert w.std() > 1e-3
    # the mean falls out of a difference, of two samples or of two exits: tanh(relu(losses·W + b)·V + c)
    raw = torch.tanh((losses.T @ net[0] + net[1]).relu() @ net[2] + net[3]).T
    axis = 1 if centring == "mat" else 0
    torch.testing.assert_close(w.diff(dim=axis), 0.3 * raw.diff(dim=axis))


def test_the_lookahead_is_the_step_that_adamw_takes():
    g = torch.Generator().manual_seed(0)
    p = torch.randn(4, 3, generator=g).requires_grad_()
    optimiser = torch.optim.AdamW([p], lr=0.05, weight_decay=0.1)
    for _ in range(4):
        gradient = torch.randn(4, 3, generator=g)
        expected = lookahead(optimiser, [p], [gradient])[0]
        p.grad = gradient
        optimiser.step()
        torch.testing.assert_close(p.detach(), expected)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("centring", ["mat", "col"])
def test_the_meta_gradient_agrees_with_finite_differences(centring):
    w = weighting(centring=centring)
    # so large an epsilon makes AdamW's rate the same for all coordinates and gradients: one momentum-SGD step
    for group in w.optimiser.param_groups:
        group.update(lr=3e6, eps=1e6, weight_decay=0.0)
    rows, others = torch.arange(10, 20), torch.arange(20, 40)
    gradients = w.meta_gradient(rows, others)
    h, largest = 1e-4, 0.0
    for p, gradient in zip(w.weights, gradients, strict=True):
        for i in range(0, p.numel(), 3):
            values = []
            for side in (h, -h):
                with torch.no_grad():
                    p.view(-1)[i] += side
                values.append(w.meta_loss(rows, others).item())
                with torch.no_grad():
                    p.view(-1)[i] -= side
            slope = (values[0] - values[1]) / (2 * h)
            assert float(gradient.flatten()[i]) == pytest.approx(slope, rel=1e-4, abs=1e-8)
            largest = max(largest, abs(slope))
    assert largest > 1e-4


def test_learning_lowers_the_loss_where_samples_leave():
    w = weighting(n=80, meta_lr=0.03)
    w.optimiser.param_groups[0].update(lr=0.3)
    w.meta.steps = 15
    rows = torch.arange(80)
    before = (w.meta_loss(rows[:40], rows[40:]) + w.meta_loss(rows[40:], rows[:40])).item()
    for _ in range(15):
        w._learn(rows)
    after = (w.meta_loss(rows[:40], rows[40:]) + w.meta_loss(rows[40:], rows[:40])).item()
    assert after < before - 1e-3


def test_the_net_learns_every_so_many_batches_and_leaves_the_heads_alone():
    w = weighting(steps=0, interval=3)
    w.meta.steps = 3
    learned = []
    for _ in range(7):
        before, parameters = w.weights[0].detach().clone(), [p.detach().clone() for p in w.net.parameters]
        w._differentiate(torch.arange(10))
        learned.append(not torch.equal(before, w.weights[0]))
        assert all(torch.equal(a, b) for a, b in zip(parameters, w.net.parameters, strict=True))
    assert learned == [True, False, False, True, False, False, True]


def test_without_a_spread_of_weights_they_are_plain_heads():
    task = make_task(60)
    plain = heads.fit("plain[epochs=1]", task)
    # the weight net draws between the heads and the order of the batch, which is one batch here
    torch.testing.assert_close(heads.fit("l2w[eps=0,epochs=1]", task).logits(task.val), plain.logits(task.val))
