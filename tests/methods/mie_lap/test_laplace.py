from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from bench.methods.mie_lap import LaplaceHeads, MIEConfig
from bench.methods.mie_lap.laplace import VARIANCES, Posterior, kfac, linear_layers
from bench.methods.mie_lap.predictive import (
    TEMPERATURES,
    best_cell,
    mix,
    point_temperature,
    predict,
    true_probability,
    tune,
)
from torch import nn

from bench import heads
from bench.errors import UserError
from bench.heads.layers import LinearHeads
from bench.heads.native import NativeHeads
from bench.recipe import Heads
from tests.helpers.tasks import make_task


def blobs(n: int = 200, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, nn.Linear]:
    """Return features [n, 4], labels and a linear head that separates them well."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    means = 2 * torch.randn(classes, 4, generator=torch.Generator().manual_seed(9))
    features = means[labels] + torch.randn(n, 4, generator=g)
    layer = nn.Linear(4, classes).requires_grad_(False)
    layer.weight.copy_(means)
    layer.bias.copy_(-means.square().sum(1) / 2)
    return features, labels, layer


def test_factors_against_a_direct_computation():
    x = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    f = kfac(x, logits)
    # standardised: (-1, 0, 1) and (1, 0, 1); a constant feature keeps the scale 1
    assert f.inputs.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    # p = (1/4, 3/4) and (1/2, 1/2): p(1-p) = 3/16 and 1/4, mean 7/32
    assert f.outputs.flatten().tolist() == pytest.approx([7 / 32, -7 / 32, -7 / 32, 7 / 32])
    assert f.count == 2


def test_output_factor_is_the_hessian_of_the_cross_entropy():
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    hessians = [
        torch.autograd.functional.hessian(lambda a: nn.functional.cross_entropy(a, torch.tensor(2)), row)
        for row in logits
    ]
    assert torch.allclose(kfac(torch.randn(7, 2).double(), logits).outputs, torch.stack(hessians).mean(0))


def test_spread_and_noise_against_inverted_factors():
    x, _, layer = blobs()
    f, variances = kfac(x.double(), layer(x).double()), (0.5, 4.0)
    posterior = Posterior(f, variances)
    phi = torch.cat([(x.double() - f.mean) / f.std, torch.ones(len(x), 1).double()], 1)
    for v, variance in enumerate(variances):
        a = math.sqrt(len(x)) * f.inputs + torch.eye(5) / math.sqrt(variance)
        b = math.sqrt(len(x)) * f.outputs + torch.eye(3) / math.sqrt(variance)
        q = ((phi @ torch.linalg.inv(a)) * phi).sum(1)
        assert torch.allclose(posterior.spread(x.double())[v], q)
        assert torch.allclose(posterior.spread_layer(v)(x.double()).square().sum(1), q)
        root = posterior.output_root[v]
        assert torch.allclose(root @ root.mT, torch.linalg.inv(b))
        assert torch.allclose(posterior.variance()[v, 0], torch.linalg.inv(b).diag())
    z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(2))
    drawn = posterior.noise(z)[0]
    assert torch.allclose(drawn.T.cov(), posterior.output_root[0] @ posterior.output_root[0].mT, atol=0.03)


@pytest.mark.parametrize("kind", ["mc", "probit"])
def test_the_predictive_widens_away_from_the_data(kind):
    x, _, layer = blobs(30)
    posterior = Posterior(kfac(x, layer(x)))
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    scatter = (posterior.noise(z) if kind == "mc" else posterior.variance()).float()[-1]
    _, _, across = torch.linalg.svd(layer.weight)
    far = x + 300 * across[-1]  # where the head's logits stay as they are, and no sample has been
    near_q, far_q = posterior.spread(x)[-1], posterior.spread(far)[-1]
    assert torch.allclose(layer(far), layer(x), atol=1e-2) and (far_q > 1000 * near_q).all()
    at_data, away = (predict(kind, layer(x), q, scatter, torch.tensor(1.0)).amax(1) for q in (near_q, far_q))
    assert at_data.mean() > 0.9 and away.mean() < 0.7
    assert (away < at_data).all()


def test_without_spread_the_predictive_is_the_tempered_softmax():
    logits, scatter = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.randn(10, 4)
    for kind, s in (("mc", scatter), ("probit", scatter[:1].square())):
        p = predict(kind, logits, torch.zeros(6), s, torch.tensor(2.0))
        assert torch.allclose(p, (logits / 2).softmax(1), atol=1e-6)


def test_probit_agrees_with_monte_carlo():
    x, _, layer = blobs(80)
    posterior = Posterior(kfac(x, layer(x)), (1.0,))
    z = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    args = layer(x) / 3, posterior.spread(x)[0]
    mc = predict("mc", *args, posterior.noise(z)[0].float(), torch.tensor(1.0))
    probit = predict("probit", *args, posterior.variance()[0].float(), torch.tensor(1.0))
    point = args[0].softmax(1)
    assert (mc - probit).abs().mean() < 0.4 * (mc - point).abs().mean()
    assert (mc - probit).abs().max() < 0.03


def test_probit_of_one_logit_by_hand():
    logits, q, s2 = torch.tensor([[1.0, -1.0]]), torch.tensor([2.0]), torch.tensor([[4 / math.pi, 4 / math.pi]])
    p = predict("probit", logits + 5, q, s2, torch.tensor(1.0))  # 1 + π/8·2·4/π = 2
    assert float(p[0, 0]) == pytest.approx(1 / (1 + math.exp(-2 / math.sqrt(2))))


@pytest.mark.parametrize("kind", ["mc", "probit"])
def test_the_batched_grid_equals_its_cells_one_by_one(kind, monkeypatch):
    monkeypatch.setattr("bench.methods.mie_lap.predictive.BLOCK", 64)
    x, y, layer = blobs(40)
    posterior = Posterior(kfac(x, layer(x)))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    scatter = (posterior.noise(z) if kind == "mc" else posterior.variance()).float()
    spread, t = posterior.spread(x), torch.tensor(TEMPERATURES)
    grid = true_probability(kind, layer(x), spread, scatter, t, y)
    assert grid.shape == (len(VARIANCES), len(TEMPERATURES), 40)
    for v, i in ((0, 0), (3, 7), (9, 9)):
        p = predict(kind, layer(x), spread[v], scatter[v], t[i]).gather(1, y[:, None]).squeeze(1)
        assert torch.allclose(grid[v, i], p, atol=1e-6)


def test_the_best_cell_minimises_the_nll_of_the_mixture():
    x, y, layer = blobs(60)
    posterior = Posterior(kfac(x, layer(x)))
    scatter, spread = posterior.variance().float(), posterior.spread(x)
    before, weight = torch.rand(60, generator=torch.Generator().manual_seed(3)), torch.tensor(0.4)
    args = layer(x), spread, scatter
    v, t, after = best_cell("probit", range(10), range(10), *args, y, before, weight)
    total = before + weight * true_probability("probit", *args, torch.tensor(TEMPERATURES), y)
    assert torch.equal(after, total[v, t])
    assert float(-total[v, t].log().mean()) == pytest.approx(float(-total.log().mean(-1).max()))


def test_tuning_cools_a_confident_head_and_warms_a_timid_one():
    x, y, layer = blobs(300, seed=4)
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    chosen = {}
    for scale in (0.1, 1.0, 10.0):
        head = nn.Linear(4, 3).requires_grad_(False)
        head.weight.copy_(layer.weight * scale)
        head.bias.copy_(layer.bias * scale)
        posterior = Posterior(kfac(x, head(x)))
        for kind in ("mc", "probit"):
            result = tune(kind, posterior, head(x), x, y, z, torch.zeros(300), torch.tensor(1.0))
            chosen[kind, scale] = result[2]
    for kind in ("mc", "probit"):
        assert chosen[kind, 0.1] == 0.3
        assert chosen[kind, 0.1] < chosen[kind, 1.0] < chosen[kind, 10.0]
    warm = [point_temperature(scale * layer(x), y, torch.zeros(300), torch.tensor(1.0)) for scale in (0.1, 1.0, 10.0)]
    assert warm[0] == 0.3 and warm[2] == 3.0 and 0.3 < warm[1] < 3.0


def test_mixture_weights_by_hand():
    p = torch.tensor([[[0.9, 0.1], [0.3, 0.7]]])
    mixed = mix(p.log(), torch.tensor([0.25, 0.75], dtype=torch.float64)).exp()
    assert mixed[0].tolist() == pytest.approx([0.25 * 0.9 + 0.75 * 0.3, 0.25 * 0.1 + 0.75 * 0.7])
    doubled = mix(p.log(), torch.tensor([0.5, 1.5])).exp()
    assert torch.allclose(mixed, doubled)


@pytest.mark.parametrize("n,classes", [(2, 3), (5, 1), (2, 1)])
def test_few_samples_and_one_class_stay_finite(n, classes):
    x, y, layer = blobs(n, classes)
    posterior = Posterior(kfac(x, layer(x) * 1e4))
    z = torch.randn(50, classes)
    spread, scatter, temperature, after = tune(
        "mc", posterior, layer(x) * 1e4, x, y, z, torch.zeros(n).double(), torch.tensor(1.0).double()
    )
    p = predict("mc", layer(x) * 1e4, spread(x).square().sum(-1), scatter, torch.tensor(temperature))
    assert p.isfinite().all() and torch.allclose(p.sum(1), torch.ones(n)) and after.isfinite().all()


class Mixed(LinearHeads):
    def combine(self, k, logits):
        return logits.mean(1)


class Chained(LinearHeads):
    needs_previous = True


@pytest.mark.parametrize("kind", [Heads, Mixed, Chained])
def test_other_heads_are_refused_with_what_is_valid(kind):
    heads = Heads() if kind is Heads else kind([nn.Linear(4, 3)])
    with pytest.raises(UserError, match=r"heads=ztw are not\. Valid: plain, distilled and l2w"):
        linear_layers(heads, "ztw")
    layers = [nn.Linear(4, 3), nn.Linear(5, 3)]
    assert linear_layers(LinearHeads(layers), "plain") == layers
    own = NativeHeads([(layer.weight, layer.bias) for layer in layers])
    assert [x.weight.tolist() for x in linear_layers(own, "native")] == [x.weight.tolist() for x in layers]
    with pytest.raises(UserError, match="heads=native are not"):
        linear_layers(NativeHeads([None]), "native")


def test_an_exit_that_costs_nothing_answers():
    task = make_task()
    free = dataclasses.replace(task, macs=(0, *task.macs[1:]))
    logits = LaplaceHeads(heads.fit("plain", free), free, MIEConfig()).logits(free.val)
    assert torch.isfinite(logits).all()
