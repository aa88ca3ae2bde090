"""Tests of logit_gap: the contract of every method, and its own rule on numbers computed by hand."""

from __future__ import annotations

import torch
from bench.check import suite

from exitbench_logit_gap import Gap, quantiles

test_contract = suite("logit_gap")


def test_the_gap_is_between_the_two_best_logits_of_this_exit():
    logits = torch.tensor([[[0.0, 9.0, 0.0], [1.0, 5.0, 3.0]]])
    assert Gap()(1, logits).tolist() == [2.0]


def test_a_threshold_lets_its_share_of_the_samples_leave():
    gaps = torch.tensor([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])
    thresholds = quantiles(gaps, torch.tensor([[0.5, 0.25], [0.0, 1.0]]))
    assert thresholds.tolist() == [[3.0, 8.0, -torch.inf], [torch.inf, 5.0, -torch.inf]]
