"""Q-exit: the exit distribution by hand, what training makes of it, and where samples leave."""

from __future__ import annotations

import math

import pytest
import torch
from bench.methods.palbert import PALBERT, HazardScore, PALBERTConfig, geometric, log_exits

from bench.inference import simulate
from bench.rules.states import HISTORY, states
from tests.helpers.tasks import given_task, make_task


def test_the_exit_distribution_by_hand():
    """λ = ¼, ½: p = ¼, ¾·½, and the rest."""
    z = torch.tensor([[math.log(1 / 3), 0.0]], dtype=torch.float64)
    torch.testing.assert_close(log_exits(z).exp(), torch.tensor([[0.25, 0.375, 0.375]], dtype=torch.float64))
    torch.testing.assert_close(log_exits(z[:, :0]).exp(), torch.ones(1, 1, dtype=torch.float64))
    assert log_exits(torch.tensor([[800.0, -800.0]])).isfinite().all()


def test_the_prior_by_hand():
    assert geometric(0.1, 3).tolist() == pytest.approx([0.1, 0.09, 0.081, 0.729])


def test_the_score_is_minus_the_log_of_what_has_not_left():
    gates = 3
    score = HazardScore(torch.zeros(gates, 3 + HISTORY), torch.tensor([math.log(1 / 3), 0.0, 0.0]))
    logits = torch.randn(5, gates + 1, 4, generator=torch.Generator().manual_seed(0))
    cumulative = 1 - torch.exp(-score.all(logits))
    torch.testing.assert_close(cumulative[0], torch.tensor([0.25, 0.625, 0.8125], dtype=torch.float64))
    assert all(torch.equal(score(k, logits[:, : k + 1]), score.all(logits)[:, k]) for k in range(gates))
    assert score.macs(0, 4) == 2 * 4 + 8 + 1


def easy_and_hard(n=120):
    """Sure samples are right at exit 0; unsure ones are right at the last exit alone."""
    sure = torch.arange(n) % 2 == 0
    p = torch.stack([torch.where(sure, 0.95, 0.4), torch.where(sure, 0.95, 0.4), torch.full((n,), 0.99)], 1)
    return given_task(torch.stack([p, 1 - p], -1).log(), torch.zeros(n, dtype=torch.int64)), sure


def test_training_lets_samples_leave_where_nothing_is_gained_by_continuing():
    task, sure = easy_and_hard()
    policy = PALBERT(PALBERTConfig(beta=0.05)).fit(task, [0.68])[0]
    assert simulate(policy, task.val, task.macs).exit_index.tolist() == torch.where(sure, 0, 2).tolist()


def test_a_strong_prior_is_what_the_layers_learn():
    task = make_task(100, val=200)
    found = PALBERT(PALBERTConfig(prior=0.3, beta=1e4)).fit(task, [1.1])[0].score
    answers = torch.randn(50, 5, 6, generator=torch.Generator().manual_seed(0))
    assert states(answers).shape[1] == 4
    cumulative = 1 - torch.exp(-found.all(answers))
    expected = geometric(0.3, 4).cumsum(0)[:4]
    torch.testing.assert_close(cumulative.mean(0), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("wrong", [{"prior": 0.0}, {"prior": 1.0}, {"beta": -1.0}, {"ridge": 0.0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PALBERTConfig(**wrong)
