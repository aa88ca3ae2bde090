from __future__ import annotations

import math

import torch

from bench.rules.states import Ridge, StateBasis, StateScore, along, hinges, knots, state, state_macs, states


def rows(*probabilities: list[float]) -> torch.Tensor:
    """Answers [1, k+1, C] whose softmax is these rows."""
    return torch.tensor([probabilities], dtype=torch.float64).log()


def test_the_state_of_the_first_exit():
    p = [0.2, 0.7, 0.1]
    entropy = -sum(q * math.log(q) for q in p) / math.log(3)
    expected = torch.tensor([[0.7, 0.2, 0.1, entropy, math.log(3.5), 0, 0, 0.7]], dtype=torch.float64)
    torch.testing.assert_close(state(0, rows(p)), expected)


def test_agreement_counts_back_from_the_exit_until_the_first_other_answer():
    a, b = [0.6, 0.4], [0.1, 0.9]
    same, streak, peak = state(3, rows(b, a, b, b), top=2)[0, 4:].tolist()
    assert (same, streak) == (1, 1 / 3) and math.isclose(peak, 0.9)
    same, streak, peak = state(3, rows(b, b, b, a), top=2)[0, 4:].tolist()
    assert (same, streak) == (0, 0) and math.isclose(peak, 0.9)  # the confidence of another answer counts too
    assert state(2, rows(a, a, a))[0, 5:7].tolist() == [1, 1]


def test_fewer_classes_than_probabilities_ties_and_saturation():
    assert state(0, torch.tensor([[[7.0]]])).tolist() == [[1, 0, 0, 0, 20, 0, 0, 1]]
    sure = state(1, torch.tensor([[[1e4, -1e4], [1e4, -1e4]]]))
    assert sure.tolist() == [[1, 0, 0, 0, 20, 1, 1, 1]]
    tied = state(0, torch.full((1, 1, 4), -1e4))
    torch.testing.assert_close(tied, torch.tensor([[0.25, 0.25, 0.25, 1, 0, 0, 0, 0.25]], dtype=torch.float64))
    assert state(0, torch.zeros(2, 1, 4), top=1).shape == (2, 6)


def test_a_state_owes_nothing_to_the_batch_or_to_later_exits():
    answers = torch.randn(50, 4, 7, generator=torch.Generator().manual_seed(0)) * 5
    together = states(answers, top=4)
    assert together.shape == (50, 3, 9)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    for k in range(3):
        assert torch.equal(together[order, k], state(k, answers[order, : k + 1], top=4))
        assert torch.equal(together[7:8, k], state(k, answers[7:8, : k + 1], top=4))
    assert states(answers[:, :1]).shape == (50, 0, 8)


def test_knots_are_inner_quantiles_and_hinges_bend_there():
    features = torch.arange(5.0).double()[:, None, None]
    at = knots(features, 3)
    assert at.tolist() == [[[1, 2, 3]]]
    assert hinges(features, at)[3].tolist() == [[3, 2, 1, 0]]
    assert knots(torch.zeros(4, 0, 8), 3).shape == (0, 8, 3)


def test_a_state_score_is_linear_in_the_hinges_of_the_state_and_its_directions():
    g = torch.Generator().manual_seed(2)
    answers = torch.randn(20, 3, 5, generator=g)
    inputs = states(answers)
    directions = torch.randn(2, 8, 1, generator=g, dtype=torch.float64)
    features = along(inputs, directions)
    torch.testing.assert_close(features[..., 8], torch.einsum("ngf,gf->ng", inputs, directions[..., 0]))
    at = knots(features, 2)
    weight, bias = torch.randn(2, 27, generator=g, dtype=torch.float64), torch.tensor([0.5, -2.0], dtype=torch.float64)
    score = StateScore(weight, bias, basis=StateBasis(directions, at))
    expected = torch.einsum("ngb,gb->ng", hinges(features, at), weight) + bias
    torch.testing.assert_close(score.all(answers), expected, atol=1e-8, rtol=0)
    assert score.macs(1, 5) == state_macs(5) + 8 + 27
    plain = StateScore(weight[:, :8], bias)
    torch.testing.assert_close(plain.all(answers), (inputs * weight[:, :8]).sum(-1) + bias, atol=1e-8, rtol=0)


def test_ridge_on_groups_gives_their_means_and_predicts_a_fold_from_the_others():
    group = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    x = torch.nn.functional.one_hot(group).double()
    y = torch.tensor([[1.0, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60], [7, 70], [8, 80]]).double()
    unseen, weight, bias = Ridge(x, 2, 1e-10).fit(y)
    torch.testing.assert_close(x @ weight + bias, torch.tensor([[4.0, 40], [5, 50]]).double()[group], atol=1e-5, rtol=0)
    torch.testing.assert_close(unseen[:, 0], torch.tensor([6.0, 7, 6, 7, 2, 3, 2, 3]).double(), atol=1e-5, rtol=0)


def test_ridge_shrinks_the_slope_but_never_the_mean_and_survives_one_row():
    x, y = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([[4.0], [6.0]]).double()
    _, weight, bias = Ridge(x, 2, 1.0).fit(y)
    torch.testing.assert_close(weight, torch.tensor([[0.5]]).double())
    torch.testing.assert_close(bias, torch.tensor([5.0]).double())
    unseen, *_ = Ridge(x[:1], 1, 1.0).fit(y[:1])
    torch.testing.assert_close(unseen, torch.tensor([[4.0]]).double())
