"""Run searches one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.tune.attempt import run_whole
from bench.tune.history import Row
from bench.tune.objective import Evaluator
from bench.tune.search import Search

Told = Callable[[Search, int], None]
Ended = Callable[[Search, Row], None]


def run(
    searches: Sequence[Search], device: str, threads: int, timeout: float | None, started: Told, ended: Ended
) -> None:
    """Run every trial; `started` and `ended` hear of each, the latter once its search's file has it."""
    evaluator = Evaluator(device, threads)
    for search in searches:
        while (job := search.take()) is not None:
            started(search, job.number)
            row = run_whole(job, search.bank, evaluator, timeout)
            search.put(row)
            if isinstance(row, Row):
                ended(search, row)
