"""What a search hands to whoever runs its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.method import Method


@dataclass(frozen=True)
class Job:
    """One trial to run: a configured method, the seeds to score it on, and when to give up.

    With a rival it is no trial: the winner is to be compared with the defaults on what was kept back.
    """

    number: int
    method: Method
    seeds: tuple[int, ...]
    budgets: tuple[float, ...]
    bars: tuple[float | None, ...]  # the mean over seeds 0 … t must not lie below bars[t]; None: it may
    params: dict[str, Any]
    rival: Method | None = None
