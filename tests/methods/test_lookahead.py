"""Lookahead: its trees agree with scikit-learn's, and its score is the most accuracy per cost that is promised."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from bench.methods.lookahead import Lookahead, LookaheadConfig, TreeScore
from sklearn.ensemble import HistGradientBoostingClassifier

from bench import heads
from bench.inference import simulate
from bench.rules.states import DIGITS, every_state
from tests.helpers.tasks import make_task

SMALL = LookaheadConfig(trees=7, depth=3)


@pytest.fixture(scope="module")
def task():
    return make_task(300, exits=4)


@pytest.mark.parametrize("depth", [1, 3])
def test_trees_say_what_scikit_learns_do(depth):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(200, 5, generator=g, dtype=torch.float64)
    right = ((x[:, 0] > 0.4) ^ (x[:, 3] * x[:, 1] > 0.3)).numpy()
    score = TreeScore(exits=3, trees=9, depth=depth)
    for j in (1, 2):
        score.grow(1, j, x.numpy(), right if j == 2 else ~right, rate=0.2, least=5, seed=0)
    model = HistGradientBoostingClassifier(
        learning_rate=0.2, max_iter=9, max_depth=depth, max_leaf_nodes=None, min_samples_leaf=5, early_stopping=False
    ).fit(x.numpy(), right)
    new = torch.rand(500, 5, generator=g, dtype=torch.float64)
    expected = model.predict_proba(new.numpy())[:, 1]
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(score.right(1, new)[:, 1].numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(score.right(1, new)[:, 0].numpy(), 1 - expected, atol=1e-9)


def test_targets_that_are_all_alike_need_no_trees():
    score = TreeScore(exits=2, trees=3, depth=2)
    score.grow(0, 0, np.zeros((9, 2)), np.ones(9, dtype=bool), rate=0.1, least=5, seed=0)
    score.grow(0, 1, np.zeros((9, 2)), np.zeros(9, dtype=bool), rate=0.1, least=5, seed=0)
    assert score.right(0, torch.zeros(1, 2).double()).tolist() == [pytest.approx([9.5 / 10, 0.5 / 10])]


def test_the_score_by_hand():
    """Exit 1 adds .1 for .2 of the cost, exit 2 adds .3 for .4, exit 3 .3 for .8: the second promises most, .75."""
    score = TreeScore(exits=4, trees=1, depth=1)
    score.costs.copy_(torch.tensor([0.2, 0.4, 0.6, 1.0]))
    score.base[0] = torch.tensor([0.5, 0.6, 0.8, 0.8]).double().logit()
    assert score(0, torch.randn(2, 1, 3)).tolist() == pytest.approx([-0.75, -0.75])


def test_a_sample_leaves_where_nothing_later_is_worth_its_cost(task):
    policy = Lookahead(SMALL).fit(task, [0.6])[0]
    played, answers = simulate(policy, task.val, task.macs), policy.heads.logits(task.val)
    price = -float(policy.thresholds[0])
    for row, left in zip(answers[:40], played.exit_index[:40].tolist(), strict=True):
        for k in range(left + (left < 3)):
            r = policy.score.right(k, every_state(row[None, : k + 1]).round(decimals=DIGITS).flatten(1))[0]
            worth = (r[1:] - r[0] - price * (policy.score.costs[k + 1 :] - policy.score.costs[k])).max()
            assert (worth <= 1e-6) == (k == left)
    assert len(played.exit_index.unique()) == 4


def test_costs_of_states_and_trees_by_hand(task):
    policy = Lookahead(SMALL).fit(task, [0.6])[0]
    classes, head = task.num_classes, task.train.features[0].shape[1] * task.num_classes
    trees = [(4 - k) * 7 * (3 + 1) for k in range(3)]
    assert [policy.macs(k) for k in range(4)] == [*(head + 2 * classes + n for n in trees), 0]
    relative = [(task.macs[k] + sum(policy.macs(i) for i in range(k + 1))) / task.macs[-1] for k in range(4)]
    assert policy.score.costs.tolist() == pytest.approx(relative)


def test_a_pickled_policy_decides_alike_in_any_batch(task):
    policy = Lookahead(SMALL).fit(task, [0.5])[0]
    again = simulate(pickle.loads(pickle.dumps(policy)), task.val, task.macs, batch_size=37)
    assert (again.exit_index != simulate(policy, task.val, task.macs).exit_index).sum() <= 1


def test_a_fit_on_several_threads_leaves_warning_filters_alone(task):
    before = list(warnings.filters)
    torch.set_num_threads(2)
    Lookahead(LookaheadConfig(trees=1)).fit(task, [0.5])
    assert list(warnings.filters) == before and torch.get_num_threads() == 2


def test_it_uses_the_heads_that_it_is_given(task):
    policy = Lookahead(LookaheadConfig(heads="boosted[epochs=1]", trees=1)).fit(task, [0.5])[0]
    assert policy.heads is heads.fit("boosted[epochs=1]", task)


@pytest.mark.parametrize("options", [{"trees": 0}, {"depth": 0}, {"least": 0}, {"rate": 0.0}])
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LookaheadConfig(**options)
