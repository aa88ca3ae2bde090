from __future__ import annotations

import pytest
import torch

from bench.inference import exit_macs, simulate
from bench.method import ExitData, Policy
from bench.trials.plan import load_methods
from tests.helpers.tasks import make_split, make_task

METHODS = ["jeidnn", "jeidnn[preset=paper,epochs=5,points=4]", "msdnet_thresh", "entropy_thresh"]


class Scripted(Policy):
    """Leaves where the first feature of the exit says so."""

    def head(self, k, features, previous):
        return features

    def leave(self, k, logits):
        return logits[:, k, 0] > 0

    def macs(self, k):
        return 10 * (k + 1)


def scripted_data() -> ExitData:
    exits = [[1.0, 5.0], [-1.0, 0.0], [-1.0, 0.0]], [[-1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]]
    final = torch.tensor([[7.0, 0.0], [8.0, 0.0], [9.0, 1.0]])
    return ExitData(tuple(torch.tensor(x) for x in exits), final, torch.zeros(3, dtype=torch.int64))


def test_samples_leave_at_the_first_exit_that_says_so_and_pay_for_the_way():
    outcomes = simulate(Scripted(), scripted_data(), (100, 200, 300))
    assert outcomes.exit_index.tolist() == [0, 1, 2]
    assert outcomes.logits[:, 0].tolist() == [1.0, 2.0, 9.0]
    assert outcomes.macs.tolist() == [110, 230, 360]
    assert exit_macs(Scripted(), (100, 200, 300)) == [110, 230, 360]


@pytest.mark.parametrize("name", METHODS)
def test_batch_size_and_row_order_change_no_outcome(name):
    task, test = make_task(300), make_split(257, exits=5, classes=6, dims=12, seed=77)
    policy = load_methods([name])[0].fit(task, [0.6])[0]
    whole = simulate(policy, test, task.macs)
    small = simulate(policy, test, task.macs, batch_size=13)
    assert torch.equal(whole.exit_index, small.exit_index)
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    shuffled = ExitData(tuple(x[order] for x in test.features), test.final_logits[order], test.labels[order])
    moved = simulate(policy, shuffled, task.macs)
    assert torch.equal(whole.exit_index[order], moved.exit_index)
    torch.testing.assert_close(whole.logits[order], moved.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_what_later_exits_hold_cannot_change_an_earlier_decision(name, k):
    task, test = make_task(300), make_split(200, exits=5, classes=6, dims=12, seed=78)
    policy = load_methods([name])[0].fit(task, [0.6])[0]
    before = simulate(policy, test, task.macs).exit_index
    noise = [torch.randn_like(x) * 50 for x in test.features]
    features = tuple(x if j <= k else noise[j] for j, x in enumerate(test.features))
    after = simulate(policy, ExitData(features, -9 * test.final_logits, test.labels), task.macs).exit_index
    early = before <= k
    assert torch.equal(before[early], after[early])
    assert (after[~early] > k).all()


@pytest.mark.parametrize("name", METHODS)
def test_labels_at_play_time_change_nothing(name):
    task, test = make_task(300), make_split(200, exits=5, classes=6, dims=12, seed=79)
    policy = load_methods([name])[0].fit(task, [0.6])[0]
    blind = ExitData(test.features, test.final_logits, torch.zeros_like(test.labels))
    seeing = simulate(policy, test, task.macs)
    assert torch.equal(seeing.exit_index, simulate(policy, blind, task.macs).exit_index)
