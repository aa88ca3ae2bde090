"""Class-mean heads by hand."""

from __future__ import annotations

import pytest
import torch

from bench import heads
from bench.heads import class_means
from bench.method import ExitData, Task
from tests.helpers.tasks import make_task


def square(labels):
    """Four samples on the corners of a square of side 2, one exit of two features and a last one."""
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    data = ExitData((x,), torch.zeros(4, 3), torch.tensor(labels))
    return Task(data, data, (10, 20), 3, 0, torch.device("cpu"))


def test_means_scales_and_logits_by_hand():
    """Classes 0 and 1 lie at (1, 0) and (1, 2): every sample is 1 from its own mean and √5 from the other."""
    fitted = heads.fit("class_means[temperature=one]", square([0, 0, 1, 1]))
    assert fitted.mean0.tolist() == [[1, 0], [1, 2], [0, 0]]
    scale = (1 + 5**0.5) / 2
    assert fitted.scale0.tolist()[:2] == pytest.approx([scale, scale])
    near, far = -1 / scale, -(5**0.5) / scale
    own = fitted.logits(square([0, 0, 1, 1]).val)[:, 0]
    assert own[0].tolist() == pytest.approx([near, far, far - 50], abs=1e-6)
    assert own[3].tolist() == pytest.approx([far, near, far - 50], abs=1e-6)


def test_a_class_without_samples_is_never_predicted():
    task = square([0, 0, 1, 1])
    assert (heads.fit("class_means", task).logits(task.val)[:, 0].argmax(-1) < 2).all()


def test_temperatures_minimise_the_loss_on_val():
    task = make_task(200)
    fitted = heads.fit("class_means", task)
    plain = heads.fit("class_means[temperature=one]", task)
    answers, raw = fitted.logits(task.val)[:, :4], plain.logits(task.val)[:, :4]
    torch.testing.assert_close(answers * fitted.temperatures[:, None], raw.double(), atol=1e-4, rtol=1e-4)
    assert (fitted.temperatures != 1).all()

    def loss(z):
        return torch.nn.functional.cross_entropy(z[:, 0].double(), task.val.labels)

    assert loss(answers) < loss(raw) and all(loss(answers) <= loss(answers * f) + 1e-6 for f in (0.9, 1.1))


def test_the_sums_over_parts_are_those_over_all(monkeypatch):
    whole = heads.fit("class_means", make_task(50)).state_dict()
    monkeypatch.setattr(class_means, "CHUNK", 7)
    parts = heads.fit("class_means", make_task(50)).state_dict()
    assert all(torch.allclose(whole[name].double(), parts[name].double()) for name in whole)
