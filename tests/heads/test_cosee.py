"""COSEE's training: its weights and its calibration by hand, and what they do to heads."""

from __future__ import annotations

import pytest
import torch

from bench import heads
from bench.heads.cosee import COSEEConfig, energy, exit_weights, overlap
from tests.helpers.tasks import make_task


def test_weights_fall_with_the_distance_of_the_exit():
    found = exit_weights(1.0, 2)
    e = torch.tensor([1.0, -1.0, -2.0], dtype=torch.float64)
    row = torch.exp(torch.stack([e - 1, torch.tensor([-1.0, 0, -1]), torch.tensor([-2.0, -1, 0])]).double())
    row[0] = torch.exp(torch.tensor([0.0, -1.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(found, (row / row.sum(1, keepdim=True))[:, :2])
    assert exit_weights(0.0, 2).tolist() == [pytest.approx([1 / 3] * 2)] * 3


def test_energy_is_that_of_the_release():
    z = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(energy(z), 1 / (1 + z.exp().sum(-1)))


def test_overlap_by_hand():
    """Exit 0: .1 and .3 right, .4 wrong: .2 - .4 + .3 = .1. Exit 1 is right on all and does not count."""
    signal = torch.tensor([[0.1, 0.3, 0.4], [0.5, 0.5, 0.5]])
    right = torch.tensor([[True, True, False], [True, True, True]])
    assert overlap(signal, right, 0.3).item() == pytest.approx(0.1)
    assert overlap(signal, right, 0.1).item() == 0
    assert overlap(signal[1:], right[1:], 0.3).item() == 0


def test_without_weights_and_calibration_only_the_batch_order_is_left():
    """Even weights rescale the loss, which AdamW does not see: the heads are the plain ones."""
    plain, ours = (
        heads.fit(spec, make_task(100)).logits(make_task(100).val)
        for spec in ("plain[epochs=5]", "cosee[epochs=5,sharpness=0,calibration=0]")
    )
    torch.testing.assert_close(plain, ours, atol=2e-3, rtol=2e-3)


def test_calibration_pulls_the_energies_of_right_and_wrong_answers_apart():
    def gap(spec):
        task = make_task(300, classes=4)
        z = heads.fit(spec, task).logits(task.val)[:, 0]
        right, e = z.argmax(-1) == task.val.labels, energy(z)
        return float(e[~right].mean() - e[right].mean())

    assert gap("cosee[epochs=10,calibration=20]") > gap("cosee[epochs=10,calibration=0]") + 0.02


@pytest.mark.parametrize("wrong", [{"sharpness": -1.0}, {"thresholds": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        COSEEConfig(**wrong)
