from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from bench import heads
from bench.heads.boosted import BoostedHeads, earlier, mixed
from bench.heads.training import nll
from bench.method import ExitData
from tests.helpers.tasks import make_task


def same_features_everywhere(data: ExitData) -> ExitData:
    return dataclasses.replace(data, features=(data.features[-1],) * len(data.features))


def test_answers_are_running_sums_by_hand():
    fitted = BoostedHeads([nn.Identity()] * 2, 0.5, "added", 2)
    a = torch.tensor([[[4.0, 0.0], [1.0, 2.0], [-1.0, 3.0]]])
    assert fitted.combine(0, a[:, :1]).tolist() == [[4.0, 0.0]]
    assert fitted.combine(1, a[:, :2]).tolist() == [[3.0, 2.0]]
    assert fitted.combine(2, a).tolist() == [[0.5, 4.0]]
    alone = BoostedHeads([nn.Identity()] * 2, 0.5, "alone", 2)
    assert alone.combine(2, a).tolist() == [[-1.0, 3.0]]
    assert alone.combine(1, a[:, :2]).tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_training_adds_the_same_sum_that_is_answered(rho):
    a = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    trained = a + mixed(earlier(4, rho), a)
    fitted = BoostedHeads([nn.Identity()] * 4, rho, "added", 3)
    for k in range(4):
        torch.testing.assert_close(trained[k], fitted.combine(k, a.transpose(0, 1)[:, : k + 1]))


def test_a_head_with_less_left_to_correct_stays_smaller():
    task = make_task(400, exits=3, classes=4)
    same = dataclasses.replace(
        task, train=same_features_everywhere(task.train), val=same_features_everywhere(task.val), shared_cache={}
    )
    sizes = {}
    for spec in ("boosted[rho=1,epochs=40,batch_size=40]", "plain[epochs=40,batch_size=40]"):
        first, second = (layer.weight.norm() for layer in heads.fit(spec, same).layers)
        sizes[spec.partition("[")[0]] = float(second / first)
    assert sizes["plain"] > 0.95
    assert sizes["boosted"] < 0.8


def test_no_head_is_trained_by_the_losses_of_later_ones():
    task = make_task(100)
    first = heads.fit("boosted[epochs=1,batch_size=20]", task).layers[0]
    torch.testing.assert_close(first.weight, heads.fit("plain[epochs=1,batch_size=20]", task).layers[0].weight)


def test_without_a_share_of_the_sum_they_are_plain_heads():
    task = make_task(100)
    spec = "[epochs=1,batch_size=20]"
    boosted, plain = heads.fit("boosted[rho=0,epochs=1,batch_size=20]", task), heads.fit("plain" + spec, task)
    torch.testing.assert_close(boosted.logits(task.val), plain.logits(task.val))


def test_all_heads_keep_the_epoch_that_is_best_for_their_sums():
    task = make_task(100)
    losses = []
    for epochs in (1, 2, 3):
        fitted = heads.fit(f"boosted[epochs={epochs},lr=0.1]", task)
        answers = fitted.logits(task.val)[:, :-1].transpose(0, 1)
        losses.append(float(nll(answers, task.val.labels).mean()))
    assert losses[0] > losses[-1]
