"""Heads that learn from the final exit, and heads whose answers are set right on val."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench import heads
from bench.heads.boosted import BoostedHeads
from bench.heads.calibrated import CalibratedHeads, temperatures
from bench.heads.training import nll
from tests.helpers.tasks import make_task


def task_of_a_linear_teacher(n: int = 600):
    """The final head is linear in every exit's features, and no label has anything to do with them."""
    task = make_task(n, classes=4)
    g = torch.Generator().manual_seed(7)
    teacher = torch.randn(12, 4, generator=g)
    parts = {}
    for name in ("train", "val"):
        data = getattr(task, name)
        x = data.features[0]
        noise = torch.randint(4, (n,), generator=g)
        parts[name] = dataclasses.replace(data, features=(x,) * 4, final_logits=x @ teacher / 3, labels=noise)
    return dataclasses.replace(task, **parts, shared_cache={})


def test_distilled_heads_reach_the_teacher_without_labels():
    task = task_of_a_linear_teacher()
    answers = heads.fit("distilled[lr=0.05,batch_size=60]", task).logits(task.val)
    agreement = (answers.argmax(-1) == task.val.final_logits.argmax(-1)[:, None]).double().mean(0)
    assert (agreement > 0.97).all()
    plain = heads.fit("plain[epochs=5,batch_size=60]", task).logits(task.val)
    assert ((plain.argmax(-1) == task.val.final_logits.argmax(-1)[:, None]).double().mean(0)[:-1] < 0.5).all()
    torch.testing.assert_close(answers[:, 0].softmax(-1), task.val.final_logits.softmax(-1), atol=0.05, rtol=0)


def test_distilled_heads_never_look_at_labels_unless_told():
    task = task_of_a_linear_teacher(100)
    other = dataclasses.replace(
        task,
        train=dataclasses.replace(task.train, labels=task.train.labels.flip(0)),
        val=dataclasses.replace(task.val, labels=task.val.labels.flip(0)),
        shared_cache={},
    )
    for spec, same in (("distilled[epochs=3]", True), ("distilled[epochs=3,labels=0.5]", False)):
        a, b = (heads.fit(spec, t).logits(task.val) for t in (task, other))
        assert torch.equal(a, b) == same


def test_distilled_from_labels_alone_are_plain_heads():
    task = make_task(100)
    distilled = heads.fit("distilled[epochs=2,labels=1,temperature=3]", task)
    torch.testing.assert_close(distilled.logits(task.val), heads.fit("plain[epochs=2]", task).logits(task.val))


def test_a_soft_teacher_is_imitated_at_its_own_sharpness():
    task = task_of_a_linear_teacher()
    answers = heads.fit("distilled[lr=0.05,batch_size=60,temperature=4]", task).logits(task.val)
    torch.testing.assert_close(answers[:, 0].softmax(-1), task.val.final_logits.softmax(-1), atol=0.05, rtol=0)


@pytest.mark.parametrize("base", ["plain[epochs=3,lr=0.1]", "boosted[epochs=3,lr=0.1]", "ztw[epochs=3]"])
def test_calibration_lowers_the_val_loss_and_keeps_every_prediction(base):
    task = make_task(300)
    before, after = (heads.fit(spec, task).logits(task.val) for spec in (base, f"calibrated[base={base}]"))
    assert torch.equal(before.argmax(-1), after.argmax(-1))
    losses = [nll(z.transpose(0, 1), task.val.labels).mean(1) for z in (before, after)]
    assert (losses[1] <= losses[0] + 1e-6).all()
    assert (losses[1] < losses[0] - 1e-3).any()


def test_no_other_temperature_is_better():
    task = make_task(300)
    z, labels = heads.fit("plain[epochs=5,lr=0.1]", task).logits(task.val).double(), task.val.labels
    t = temperatures(z, labels)
    best = nll((z / t[:, None]).transpose(0, 1), labels).mean(1)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert (nll((z / (factor * t)[:, None]).transpose(0, 1), labels).mean(1) > best).all()
    torch.testing.assert_close(temperatures(3 * z, labels), 3 * t)


def test_temperatures_where_all_or_none_are_right_are_bounded_and_one_where_none_matters():
    z = torch.tensor([[[5.0, 0.0]] * 3, [[5.0, 0.0]] * 3])
    right, wrong, even = torch.tensor([0, 0]), torch.tensor([1, 1]), torch.zeros(2, 3, 2)
    assert temperatures(z, right).tolist() == pytest.approx([0.02] * 3)
    assert temperatures(z, wrong).tolist() == pytest.approx([50.0] * 3)
    assert temperatures(even, right).tolist() == [1.0] * 3


def test_the_final_exit_is_calibrated_too_and_earlier_heads_are_passed_on_raw():
    base = BoostedHeads([torch.nn.Identity()], 0.5, "added", 2)
    fitted = CalibratedHeads(base, torch.tensor([2.0, 4.0]), 2)
    x = torch.tensor([[4.0, 0.0]])
    assert fitted(0, x, ()).tolist() == [[4.0, 0.0]]
    assert fitted.combine(0, x[:, None]).tolist() == [[2.0, 0.0]]
    assert fitted.combine(1, torch.stack([x, x], 1)).tolist() == [[1.5, 0.0]]
    assert fitted.needs_previous
