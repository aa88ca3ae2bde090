from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from bench import heads
from bench.heads.training import nll
from bench.heads.ztw import ZTW, Cascade, ZTWHeads, normalised
from tests.helpers.tasks import make_task


def test_a_head_sees_its_features_and_the_normalised_logits_of_the_head_before():
    fitted = ZTWHeads([nn.Identity()] * 2, torch.eye(2), torch.zeros(2, 3))
    x, before = torch.tensor([[7.0, 8.0]]), (torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]))
    assert fitted(0, x, ()).tolist() == [[7.0, 8.0]]
    seen = fitted(1, x, before[1:])
    torch.testing.assert_close(seen, torch.tensor([[7.0, 8.0, -1.2247, 0.0, 1.2247]]), atol=1e-4, rtol=0)
    assert torch.equal(fitted(1, x, before), seen)  # the last one before it, not the first
    assert torch.equal(fitted(2, x, before), x)


def test_the_ensemble_is_the_weighted_geometric_mean_of_probabilities():
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.rand(3, 3, generator=g).tril(), torch.randn(3, 4, generator=g)
    fitted = ZTWHeads([nn.Identity()] * 3, weight, bias)
    a = torch.randn(5, 4, 4, generator=g)
    p = a.softmax(-1)
    for k in range(3):
        q = bias[k].exp() * (p[:, : k + 1] ** weight[k, : k + 1, None]).prod(1)
        torch.testing.assert_close(fitted.combine(k, a[:, : k + 1]).softmax(-1), q / q.sum(-1, keepdim=True))
    assert torch.equal(fitted.combine(3, a), a[:, 3])


@pytest.mark.parametrize("width", [0, 7])
def test_fitted_heads_say_what_the_cascade_said_in_training(width):
    task = make_task(80)
    net = Cascade(task.train, 6, width, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for p in net.parameters:
            p += 0.3 * torch.randn(p.shape, generator=net.generator)
    fitted = ZTWHeads(net.layers(net.parameters), torch.eye(4), torch.zeros(4, 6))
    expected = net(net.inputs(task.val)).transpose(0, 1)
    torch.testing.assert_close(fitted.logits(task.val)[:, :-1], expected, atol=1e-3, rtol=1e-3)


def test_no_gradient_flows_into_the_head_before():
    task = make_task(80)
    net = Cascade(task.train, 6, 0, torch.Generator().manual_seed(0))
    net(net.inputs(task.train))[2].square().sum().backward()
    weight, _, cascade = net.parameters
    assert weight.grad.flatten(1).any(1).tolist() == [False, False, True, False]
    assert cascade.grad.flatten(1).any(1).tolist() == [False, True, False]  # that of exits 1, 2, 3


def test_an_exit_with_nothing_to_see_repeats_the_one_before():
    task = make_task(400, classes=4)

    def blind(data):
        kept = data.features
        return dataclasses.replace(data, features=(kept[0], kept[3], torch.zeros_like(kept[2]), kept[3]))

    task = dataclasses.replace(task, train=blind(task.train), val=blind(task.val))
    fitted = heads.fit("ztw[epochs=15,batch_size=64,ensemble_steps=0]", task)
    x = task.val.features
    a = [fitted(0, x[0], ())]
    a.append(fitted(1, x[1], tuple(a)))
    a.append(fitted(2, x[2], tuple(a)))
    right = [float((z.argmax(-1) == task.val.labels).double().mean()) for z in a]
    assert right[2] > right[1] - 0.05 > 0.5


def test_training_the_ensembles_never_raises_their_val_loss():
    task = make_task(150)
    before, after = (
        nll(
            heads.fit(f"ztw[epochs=8,batch_size=32,ensemble_steps={n}]", task).logits(task.val).transpose(0, 1),
            task.val.labels,
        )
        for n in (0, 30)
    )
    gain = (before - after).mean(1)
    assert (gain >= -1e-6).all()
    assert gain.max() > 0.01


def test_ensembles_start_close_to_the_even_geometric_mean():
    weight = heads.fit("ztw[epochs=1,ensemble_steps=0]", make_task(20)).weight
    even = torch.ones(4, 4).tril() / torch.arange(1, 5)[:, None]
    torch.testing.assert_close(weight, even, atol=0, rtol=0.06)


@pytest.mark.parametrize("n", [64, 600])
def test_a_useless_early_head_loses_its_say_however_small_the_train_split(n):
    """Exit 0 answers at random, as surely as exit 1, which is right nine times in ten."""
    g = torch.Generator().manual_seed(7)
    task = make_task(n, exits=3, classes=4)
    guess, slips = torch.randint(4, (n,), generator=g), torch.rand(n, generator=g) < 0.1
    said = torch.stack([guess, torch.where(slips, guess, task.train.labels)])
    seen = 4 * nn.functional.one_hot(said, 4).float()
    task = dataclasses.replace(task, val=task.train)
    weight, _ = ZTW()._ensembles(task, seen, seen, torch.Generator().manual_seed(0))
    assert weight[1, 0] < 0.2 * weight[1, 1]


def test_normalising_forgets_shift_and_scale():
    z = torch.tensor([[1.0, 2.0, 6.0]])
    torch.testing.assert_close(normalised(z), normalised(100 * z + 50), atol=1e-4, rtol=0)
