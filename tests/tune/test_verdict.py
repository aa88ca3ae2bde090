from __future__ import annotations

import pytest

from bench.tune.history import Decision, Row
from bench.tune.verdict import compared, verdict, winner


def row(number: int, *scores: float, status="ok") -> Row:
    return Row(number=number, params={"x": number}, status=status, scores=scores, reason="why" if not scores else None)


def decision(trial: int, low: float, high: float, best=(0.62, 0.64)) -> Decision:
    return Decision(trial=trial, defaults=(0.6, 0.6), best=best, interval=(low, high), images=80)


ROWS = [
    row(0, 0.5, 0.6),
    row(1, 0.5, 0.75),
    row(2, 0.625, 0.625),
    row(3, 0.9, status="pruned"),
    row(4, status="failed"),
]


def test_the_winner_is_the_first_whole_trial_of_the_largest_mean():
    assert winner(ROWS[:1] + ROWS[2:]).number == 2
    assert winner(ROWS[::-1]).number == 1  # before 2, of the same mean
    assert winner([ROWS[0], row(1, 0.55, 0.55)]) is None
    assert winner([row(0, status="failed"), row(1, 0.9, 0.9)]) is None


def test_a_gain_beyond_the_noise_on_unseen_images_is_kept():
    kept, best, reason = verdict(ROWS, decision(1, 0.001, 0.05))
    assert (kept, best.number) == ("tuned", 1)
    assert "trial 1 beats the defaults by +3.00 points [+0.10, +5.00] on 80 samples and 2 seeds" in reason


def test_a_gain_within_the_noise_keeps_the_defaults_and_says_so():
    kept, best, reason = verdict(ROWS, decision(1, -0.01, 0.05))
    assert (kept, best.number) == ("defaults", 0) and "ahead" in reason and "within the noise" in reason


def test_a_winner_that_falls_behind_on_unseen_images_keeps_the_defaults():
    kept, best, reason = verdict(ROWS, decision(1, -0.05, 0.01, best=(0.55, 0.55)))
    assert (kept, best.number) == ("defaults", 0) and "the defaults are not beaten by trial 1" in reason


def test_defaults_that_nobody_beats_are_kept_without_a_comparison():
    kept, _, reason = verdict([row(0, 0.5, 0.6), row(1, 0.5, 0.6), row(2, 0.9, status="pruned")], None)
    assert kept == "defaults" and "no trial scored above" in reason


def test_what_failed_keeps_the_defaults_with_the_reason():
    kept, best, reason = verdict([row(0, status="failed"), row(1, 0.9, 0.9)], None)
    assert (kept, best.number) == ("defaults", 0) and "why" in reason
    kept, _, reason = verdict(ROWS, Decision(trial=1, reason="seed 7: it broke"))
    assert kept == "defaults" and "it broke" in reason


def test_scores_are_shown_in_per_cent():
    assert compared(decision(1, -0.001, 0.0612)) == ["60.00", "63.00", "+3.00 [-0.10, +6.12]"]
    assert compared(None) == compared(Decision(trial=1, reason="broke")) == ["–", "–", "–"]


@pytest.mark.parametrize("best", [(0.5, 0.5), (0.7, 0.7)])
def test_the_difference_is_the_mean_over_seeds(best):
    assert decision(1, 0, 0, best=best).difference == pytest.approx(best[0] - 0.6)
