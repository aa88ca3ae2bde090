"""Votes of exits, on hand-worked sequences of predictions."""

from __future__ import annotations

import pytest
import torch
from bench.methods.voting import Votes, Voting, VotingConfig, shares

from bench.inference import simulate
from bench.method import Infeasible
from bench.rules.mixing import Mixture
from tests.helpers.tasks import given_task, level_policy


def answers(*sequences, classes=3):
    """Logits [N, K, C] that predict the sequences."""
    return 2.0 * torch.nn.functional.one_hot(torch.tensor(sequences), classes).float()


def left_at(policy, logits):
    last = logits.shape[1] - 1
    return next((k for k in range(last) if policy.leave(k, logits[:, : k + 1]).item()), last)


def winner(sequence, power, level):
    """Where the release's loop stops, and with which class: it counts all votes and takes the class with the most."""
    for k in range(len(sequence) - 1):
        votes = [sequence[: k + 1].count(c) for c in range(3)]
        if max(votes) / (k + 1) ** power >= level:
            return k, votes.index(max(votes))
    return len(sequence) - 1, sequence[-1]


def test_shares_by_hand():
    found = shares(torch.tensor([[2, 0, 2, 2, 1]]), 0.5)
    expected = torch.tensor([[1, 1 / 2**0.5, 2 / 3**0.5, 3 / 2, 1 / 5**0.5]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("power", [0.0, 0.3, 0.5, 0.8])
def test_a_sample_leaves_with_the_winner_of_all_votes(power):
    """The exit that first reaches the level always voted for the winner, so it answers for all."""
    sequences = torch.randint(3, (25, 6), generator=torch.Generator().manual_seed(1)).tolist()
    levels = sorted({n / (k + 1) ** power for k in range(5) for n in range(1, k + 2)})
    for sequence in sequences:
        for level in levels:
            policy = level_policy(Votes(power), level, 6, 3)
            at = left_at(policy, answers(sequence))
            place, voted = winner(sequence, power, level)
            assert at == place
            # a tie before the level is reached cannot win: the exit that reaches it broke the tie
            assert sequence[at] == voted or sequence[: at + 1].count(sequence[at]) == sequence[: at + 1].count(voted)


def settling():
    """Six samples whose predictions settle later and later; the label is what they settle on."""
    sequences = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
    return answers(*sequences, classes=2), torch.tensor([0, 1, 1, 0, 1, 0])


def test_the_fit_finds_levels_mixes_and_says_what_it_cannot_spend():
    """λ = ½ has the levels 1 (all leave at once), 2/√3, √2, √3 and none; at √2 two samples leave wrong."""
    task = given_task(*settling())
    found = Voting().fit(task, [0.2, 0.26, 0.6, 0.7, 1.1])
    assert isinstance(found[0], Infeasible) and "0.2500" in str(found[0])
    assert simulate(found[1], task.val, task.macs).exit_index.tolist() == [0] * 6
    assert isinstance(found[3], Mixture)
    full = simulate(found[4], task.val, task.macs)
    assert (full.logits.argmax(-1) == task.val.labels).all()
    for budget, policy in zip([0.26, 0.6, 0.7, 1.1], found[1:], strict=True):
        assert simulate(policy, task.val, task.macs).macs.double().mean() / task.macs[-1] <= budget


def test_a_level_that_spends_less_than_the_budget_says_so():
    """All exits agree and are right: nothing is gained by continuing."""
    task = given_task(answers(*[[0, 0, 0]] * 4), torch.zeros(4, dtype=torch.int64))
    (policy,) = Voting().fit(task, [1.0])
    assert policy.note.startswith("unreachable: no number of votes that costs more than 0.3333")


def test_power_moves_decisions_and_one_is_refused():
    logits = answers([0, 1, 0, 2])
    at = [left_at(level_policy(Votes(power), 1.2, 4, 3), logits) for power in (0.1, 0.9)]
    assert at == [2, 3]
    with pytest.raises(ValueError, match="power=1"):
        VotingConfig(power=1.0)
