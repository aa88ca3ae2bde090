"""E²CM's rule on class-mean heads; the heads themselves are tested in tests/heads."""

from __future__ import annotations

import torch
from bench.methods.class_means import ClassMeans, ClassMeansConfig

from bench import heads
from bench.budgets import threshold_exits
from bench.inference import simulate
from bench.rules import max_probability
from tests.helpers.tasks import make_task


def test_one_threshold_on_the_heads_probabilities_and_every_product_counted():
    task = make_task(300)
    policy = ClassMeans().fit(task, [0.6])[0]
    assert len(policy.thresholds.unique()) == 1
    outcome = simulate(policy, task.val, task.macs)
    answers = heads.fit("class_means", task).logits(task.val)
    torch.testing.assert_close(outcome.exit_logits, answers, atol=0, rtol=0)
    assert torch.equal(outcome.exit_index, threshold_exits(max_probability(answers), policy.thresholds))
    # 6 means of 12 numbers, the square of the features, the scales; then the softmax of the rule
    assert [policy.macs(k) for k in range(5)] == [72 + 12 + 6 + 6] * 4 + [0]


def test_the_papers_distances_without_temperatures_decide_differently():
    task = make_task(300)
    left = [
        simulate(ClassMeans(ClassMeansConfig(heads=spec)).fit(task, [0.5])[0], task.val, task.macs).exit_index
        for spec in ("class_means", "class_means[temperature=one]")
    ]
    assert not torch.equal(*left)
