"""The jobs of a search: its trials, and the final comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.method import Method


@dataclass(frozen=True)
class Job:
    """One trial to run: a configured method, the seeds to score it on, and the bars below which it is pruned.

    With a rival it is not a trial but the final comparison of `method`, the winner, with the defaults.
    """

    number: int
    method: Method
    seeds: tuple[int, ...]
    budgets: tuple[float, ...]
    bars: tuple[float | None, ...]  # pruned if the mean over seeds 0 … t is below bars[t]; None: never
    params: dict[str, Any]
    rival: Method | None = None
