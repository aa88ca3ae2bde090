"""COSEE's rule: the normalised energy of the authors' code, and what it is on given heads."""

from __future__ import annotations

import pytest
import torch
from bench.methods.cosee import COSEE, COSEEConfig, scaled_energy
from bench.methods.energy_thresh import EnergyThreshold

from bench.inference import simulate
from tests.helpers.tasks import make_task


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_score_ranks_as_the_normalised_energy_of_the_release(temperature):
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    released = 1 / (1 + (logits / temperature).exp().sum(-1) ** temperature)
    score = scaled_energy(logits, temperature)
    torch.testing.assert_close(1 / (1 + score.exp()), released)
    assert torch.equal(score.argsort(descending=True), released.argsort())


def test_on_given_heads_at_temperature_one_it_is_the_energy_threshold():
    task = make_task(100, val=200)
    ours = COSEE(COSEEConfig(heads="plain[epochs=4]")).fit(task, [0.6])[0]
    theirs = EnergyThreshold(EnergyThreshold.Config(heads="plain[epochs=4]")).fit(task, [0.6])[0]
    left = [simulate(p, task.val, task.macs).exit_index for p in (ours, theirs)]
    assert (left[0] != left[1]).sum() <= 3  # it counts one more multiplication per class, so t is a little smaller


def test_its_heads_are_those_of_the_recipe_and_a_temperature_must_be_positive():
    task = make_task(60)
    policy = COSEE(COSEEConfig(heads="cosee[epochs=2]")).fit(task, [0.6])[0]
    assert policy.macs(0) == 12 * 6 + 2 * 6 and policy.macs(4) == 0
    with pytest.raises(ValueError, match="temperature=0"):
        COSEEConfig(temperature=0.0)
