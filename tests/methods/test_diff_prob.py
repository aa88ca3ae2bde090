"""Post-hoc deferral by hand: what is regressed, what a later exit is worth, and banks that only it can solve."""

from __future__ import annotations

import pytest
import torch
from bench.methods.diff_prob import DiffProb, DiffProbConfig, GainScore, quality

from bench.inference import simulate
from bench.rules.states import state
from tests.helpers.tasks import given_task


def log_p(rows):
    """Logits [N, K, 2] of the probabilities of class 0."""
    p = torch.tensor(rows, dtype=torch.float64)
    return torch.stack([p, 1 - p], -1).log().float()


def test_how_right_an_exit_is():
    logits, labels = log_p([[0.9, 0.4], [0.2, 0.3]]), torch.tensor([0, 1])
    close = {"atol": 1e-6, "rtol": 0}
    torch.testing.assert_close(
        quality(logits, labels, "diff_prob"), torch.tensor([[0.9, 0.4], [0.8, 0.7]], dtype=torch.float64), **close
    )
    assert quality(logits, labels, "diff_01").tolist() == [[1, 0], [1, 1]]


def test_a_later_exit_counts_by_its_gain_per_cost():
    """Gains of .2 at exit 1 for a cost of .5, of .3 at exit 2 for 1: .4 per cost at the nearer one, .3 at the other."""
    gates = 2
    features = state(0, log_p([[0.9]])).shape[1]
    weight = torch.zeros(gates, features, gates)
    bias = torch.tensor([[0.2, 0.3], [9.0, 0.1]])
    price = torch.tensor([[0.5, 1.0], [9.0, 0.5]])
    score = GainScore(weight, bias, torch.zeros(gates, features, 0), price)
    logits = log_p([[0.9, 0.6, 0.5]])
    assert score(0, logits[:, :1]).tolist() == pytest.approx([-0.4])
    assert score(1, logits[:, :2]).tolist() == pytest.approx([-0.2])
    # two classes: 2·2 for the state; 8 products and a division for each later exit
    assert [score.macs(k, 2) for k in range(gates)] == [4 + 2 * 9, 4 + 9]


def futile():
    """Exit 0 is right at .9 and wrong at .6 or .7; the last exit mends those of .6 alone, and a third never is."""
    rows = [[0.9, 0.9]] * 40 + [[0.4, 0.9]] * 40 + [[0.3, 0.1]] * 40
    return given_task(log_p(rows), torch.zeros(120, dtype=torch.int64))


@pytest.mark.parametrize("target", ["diff_prob", "diff_01"])
def test_only_samples_that_a_later_exit_mends_continue(target):
    """Confidence would send on those at .6 first as well; it is those at .7 that it cannot tell from mended ones."""
    task = futile()
    policy = DiffProb(DiffProbConfig(target=target)).fit(task, [0.70])[0]
    left = simulate(policy, task.val, task.macs).exit_index
    assert left.tolist() == [0] * 40 + [1] * 40 + [0] * 40


def test_where_the_surest_samples_are_the_wrong_ones_deferral_still_works():
    """A later specialist mends exactly what exit 0 is surest of, where max-probability fails (the paper's case)."""
    rows = [[0.05, 0.9]] * 50 + [[0.6, 0.6]] * 50
    task = given_task(log_p(rows), torch.zeros(100, dtype=torch.int64))
    policy = DiffProb().fit(task, [0.76])[0]
    outcome = simulate(policy, task.val, task.macs)
    assert outcome.exit_index.tolist() == [1] * 50 + [0] * 50
    assert (outcome.logits.argmax(-1) == 0).all()


def test_the_two_targets_differ():
    g = torch.Generator().manual_seed(0)
    task = given_task(torch.randn(200, 4, 3, generator=g), torch.randint(3, (200,), generator=g))
    scores = [
        DiffProb(DiffProbConfig(target=target))
        .fit(task, [0.6])[0]
        .score.all(torch.stack([*task.val.features, task.val.final_logits], 1))
        for target in ("diff_prob", "diff_01")
    ]
    assert not torch.allclose(*scores)


@pytest.mark.parametrize("wrong", [{"knots": -1}, {"ridge": 0.0}])
def test_parameters_without_a_solution_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DiffProbConfig(**wrong)
