"""Trials that executors run, and what they return."""

from __future__ import annotations

from pathlib import Path

FAULTY = Path(__file__).with_name("faulty.py")


def outcome(results) -> list[tuple]:
    """What must be the same whatever ran a trial."""
    return [(r.id, r.status, r.metrics, r.val, r.per_exit) for r, _ in results]


def by_title(done) -> dict[str, list[tuple]]:
    """Collect what an executor yields; a trial that it yields twice is an error."""
    found: dict[str, list[tuple]] = {}
    for trial, results in done:
        assert trial.title not in found
        found[trial.title] = outcome(results)
    return found
