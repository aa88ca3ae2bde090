"""What a search keeps: its best trial if that is significantly better than the defaults, otherwise the defaults."""

from __future__ import annotations

from collections.abc import Sequence

from bench.tune.history import Decision, Kept, Row

NOTE = (
    "Mean accuracy over costs, %, of the defaults and a search's winner, on samples and seeds that did not choose it."
)


def compared(decision: Decision | None) -> list[str]:
    """Return the scores of defaults and winner and their difference with interval, in %; dashes if not compared."""
    if decision is None or decision.interval is None:
        return ["–", "–", "–"]
    low, high = decision.interval
    means = [f"{100 * sum(scores) / len(scores):.2f}" for scores in (decision.defaults, decision.best)]
    return [*means, f"{100 * decision.difference:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"]


def winner(history: Sequence[Row]) -> Row | None:
    """Return the trial with the largest mean over all seeds; ties go to the earliest.

    None if that is trial 0, which has the defaults, or if the defaults have no score to compare with.
    """
    rows = sorted(history, key=lambda row: row.number)
    if rows[0].status != "ok":
        return None
    best = max((row for row in rows if row.status == "ok"), key=lambda row: (row.mean, -row.number))
    return best if best.number else None


def verdict(history: Sequence[Row], decision: Decision | None) -> tuple[Kept, Row, str]:
    """Return what to keep, its trial, and the reason in a sentence.

    The winner's score is too high on the samples that selected it. It is therefore kept only if the 95 % interval of
    its difference from the defaults is above zero on samples and seeds that the search did not use.
    """
    defaults, best = min(history, key=lambda row: row.number), winner(history)
    if best is None:
        failed = f"the defaults have no score to compare with: {defaults.reason}"
        return "defaults", defaults, "no trial scored above the defaults" if defaults.status == "ok" else failed
    assert decision is not None
    if decision.interval is None:
        return "defaults", defaults, f"trial {best.number} could not be compared with the defaults: {decision.reason}"
    low, high = decision.interval
    where = (
        f"{100 * decision.difference:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}] "
        f"on {decision.images} samples and {len(decision.best)} seeds that did not choose it"
    )
    if low > 0:
        return "tuned", best, f"trial {best.number} beats the defaults by {where}"
    if decision.difference > 0:
        return "defaults", defaults, f"trial {best.number} is ahead of the defaults by {where}, within the noise"
    return "defaults", defaults, f"the defaults are not beaten by trial {best.number}, the search's best: {where}"
