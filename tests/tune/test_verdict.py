from __future__ import annotations

import pytest

from bench.tune.history import Row
from bench.tune.verdict import estimate, verdict


def row(number: int, *scores: float, status="ok") -> Row:
    return Row(number=number, params={"x": number}, status=status, scores=scores, reason="why" if not scores else None)


def test_a_gain_beyond_the_noise_is_kept():
    kept, best, reason, scores = verdict([row(0, 0.50, 0.60, 0.70), row(1, 0.55, 0.652, 0.748), row(2, 0.4, 0.4, 0.4)])
    assert (kept, best.number) == ("tuned", 1)
    assert scores.difference.mean == pytest.approx(0.05)
    assert scores.difference.half == pytest.approx(4.302653 * 0.002 / 3**0.5, rel=1e-4)
    assert "trial 1 beats the defaults by +5.00 points ± 0.50" in reason


def test_a_gain_within_the_noise_keeps_the_defaults_and_says_so():
    kept, best, reason, scores = verdict([row(0, 0.50, 0.60, 0.70), row(1, 0.60, 0.58, 0.72)])
    assert (kept, best.number, scores.best_trial) == ("defaults", 0, 1)
    assert "trial 1 is ahead by +3.33 points" in reason and "within the noise" in reason


def test_defaults_that_nobody_beats_are_kept():
    kept, _, reason, scores = verdict([row(0, 0.5, 0.6), row(1, 0.5, 0.6), row(2, 0.9, status="pruned")])
    assert kept == "defaults" and scores.best_trial == 0 and "no trial scored above" in reason


def test_one_seed_does_not_tell_noise():
    kept, _, reason, scores = verdict([row(0, 0.5), row(1, 0.9)])
    assert kept == "defaults" and scores.difference.half is None and "one seed" in reason


def test_defaults_without_a_score_are_kept_with_the_reason():
    kept, best, reason, scores = verdict([row(0, status="failed"), row(1, 0.9, 0.9)])
    assert (kept, best, scores) == ("defaults", None, None) and "why" in reason


def test_an_interval_of_one_value_is_unknown():
    assert estimate([0.5]).half is None
    assert estimate([0.4, 0.6]).half == pytest.approx(12.7062 * 0.1, rel=1e-4)
