"""Whether a search's best trial is better than the defaults by more than the noise over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t as student

from bench.tune.history import Estimate, Kept, Row, Scores


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per seed and the half width of its 95 % t interval."""
    half = None
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(mean=statistics.fmean(values), half=half, per_seed=tuple(values))


def verdict(history: Sequence[Row]) -> tuple[Kept, Row | None, str, Scores | None]:
    """Return what to keep, the trial it is, why in a sentence, and the scores of both.

    The best trial has the largest mean over all seeds, the earliest among equals. It is kept where the 95 % t interval
    of its paired differences to the defaults (trial 0) lies above zero; from one seed there is no interval, and the
    defaults stay.
    """
    rows = sorted(history, key=lambda row: row.number)
    defaults = rows[0]
    if defaults.status != "ok":
        return "defaults", None, f"the defaults have no score to compare with: {defaults.reason}", None
    best = max((row for row in rows if row.status == "ok"), key=lambda row: (row.mean, -row.number))
    differences = [b - d for b, d in zip(best.scores, defaults.scores, strict=True)]
    gain = estimate(differences)
    scores = Scores(
        defaults=estimate(defaults.scores), best=estimate(best.scores), best_trial=best.number, difference=gain
    )
    points = f"{100 * gain.mean:+.2f} points"
    if best.number == 0:
        return "defaults", defaults, "no trial scored above the defaults", scores
    if gain.half is None:
        return (
            "defaults",
            defaults,
            f"trial {best.number} is ahead by {points}, but one seed does not tell noise",
            scores,
        )
    interval = f"{points} ± {100 * gain.half:.2f} over {len(differences)} seeds"
    if gain.mean - gain.half > 0:
        return "tuned", best, f"trial {best.number} beats the defaults by {interval}", scores
    return "defaults", defaults, f"trial {best.number} is ahead by {interval}, within the noise", scores
