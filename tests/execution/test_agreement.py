from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.execution.agreement import agreement
from bench.inference import simulate
from bench.method import ExitData, Policy

MACS = (10, 20)
HALF = 2.0**-11


class Above(Policy):
    """Leaves at exit 0 where the first logit is above 1."""

    def head(self, k, features, previous):
        return features

    def leave(self, k, logits):
        return logits[:, k, 0] > 1

    def macs(self, k):
        return 0


@pytest.fixture
def exact() -> ExitData:
    """Features before rounding: the first sample is just above the threshold, the others are far from it."""
    first = torch.tensor([[1 + 1e-4, 0.0], [3.1, 1.0], [0.2, 0.3], [-1.0, 0.7]])
    return ExitData((first,), -first.flip(1), torch.zeros(4, dtype=torch.int64))


def rounded(data: ExitData) -> ExitData:
    return ExitData(tuple(x.half().float() for x in data.features), data.final_logits.half().float(), data.labels)


def test_what_rounding_moves_is_reported_as_such(exact):
    executed, stored = simulate(Above(), exact, MACS), rounded(exact)
    assert simulate(Above(), stored, MACS).exit_index[0] != executed.exit_index[0]
    found = agreement(Above(), stored, executed, MACS, HALF)
    assert (found.images, found.exits_equal, found.rounding, found.unexplained) == (4, 0.75, 1, 0)
    assert 0 < found.logit_difference < 1e-3
    assert "75.00% equal exits" in str(found) and "1 of 4 differ by the bank's rounding" in str(found)
    assert found.metrics["executed_exits_equal"] == 0.75 and found.metrics["executed_images"] == 4.0


def test_exact_features_give_full_agreement(exact):
    found = agreement(Above(), exact, simulate(Above(), exact, MACS), MACS, HALF)
    assert (found.exits_equal, found.predictions_equal, found.logit_difference) == (1.0, 1.0, 0.0)
    assert found.rounding == found.unexplained == 0


def test_another_decision_is_not_excused(exact):
    executed = simulate(Above(), exact, MACS)
    wrong = dataclasses.replace(executed, exit_index=1 - executed.exit_index)
    found = agreement(Above(), rounded(exact), wrong, MACS, HALF)
    assert found.unexplained == 3 and "DIFFER FOR ANOTHER REASON" in str(found)


def test_another_answer_at_the_same_exit_is_not_excused(exact):
    executed = simulate(Above(), exact, MACS)
    wrong = dataclasses.replace(executed, logits=executed.logits.flip(1))
    found = agreement(Above(), exact, wrong, MACS, HALF)
    assert found.exits_equal == 1 and found.predictions_equal == 0 and found.unexplained == 4
    assert found.logit_difference == pytest.approx(2.1)
