from __future__ import annotations

import numpy as np
import pytest
import torch
from bench.methods.jeidnn import gate_targets
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import logistic
from bench.exits import uncertainty_features
from bench.gates import positive_weight


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


def test_golden_gate_loss_and_gradient(shared):
    d = {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(shared / "golden" / "jeidnn_small.npz").items()}
    logits, labels = d["logits"].double(), d["labels"].long()
    losses = -logits.log_softmax(-1).gather(-1, labels[:, None, None].expand(-1, logits.shape[1], 1)).squeeze(-1)
    targets = gate_targets(losses, d["costs"].double(), float(d["lam"]))
    weight = d["gate_weight"].double().requires_grad_()
    bias = d["gate_bias"].double().requires_grad_()
    z = torch.einsum("ngf,gf->ng", uncertainty_features(logits[:, :-1]), weight) + bias
    loss = binary_cross_entropy_with_logits(z, targets, pos_weight=d["pos_weight"].double())
    loss.backward()
    torch.testing.assert_close(loss.detach(), d["gate_loss"].double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(weight.grad, d["gate_weight_grad"].double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(bias.grad, d["gate_bias_grad"].double(), atol=1e-5, rtol=0)


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


def test_gates_stay_finite_where_all_targets_agree():
    inputs = torch.rand(50, 3, 4)
    for value in (0.0, 1.0):
        weight, bias = logistic.solve(inputs, torch.full((2, 50, 3), value), torch.full((2, 3), 5.0))
        assert weight.isfinite().all() and bias.isfinite().all()
        z = torch.einsum("ngf,pgf->png", inputs.double(), weight) + bias[:, None]
        assert ((z > 0) == bool(value)).all()


def test_positive_weights_count_leavers_up_to_or_at_each_exit():
    targets = torch.tensor([[[1, 1], [0, 1], [0, 1], [0, 0]]], dtype=torch.float64)
    assert positive_weight(targets, "cumulative").tolist() == [[3.0, pytest.approx(1 / 3)]]
    assert positive_weight(targets, "released").tolist() == [[3.0, 1.0]]
    assert positive_weight(targets, "none").tolist() == [[1.0, 1.0]]
    assert positive_weight(torch.zeros(1, 4, 2), "cumulative").tolist() == [[5.0, 5.0]]
