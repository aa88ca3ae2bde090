"""Run searches one after the other; third-party methods run in a process of their own, as in `bench run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.bank.bank import Bank
from bench.executors.child import Child, plugin_files
from bench.trials.guard import outside
from bench.tune.attempt import failed, run_whole
from bench.tune.history import Decision, Row
from bench.tune.job import Job
from bench.tune.objective import Evaluator
from bench.tune.search import Search

Told = Callable[[Search, int], None]
Ended = Callable[[Search, Row], None]


def run(
    searches: Sequence[Search],
    device: str,
    threads: int,
    timeout: float | None,
    started: Told,
    ended: Ended,
    *,
    apart: bool = False,
) -> None:
    """Run all trials; call `started` before each, and `ended` once it is in its search's file.

    apart: run all trials in child processes, because third-party datasets or backbones ran in this one.
    """
    here = _evaluator(device, threads, timeout)
    for search in searches:
        child: Child | None = None
        try:
            while (job := search.take()) is not None:
                started(search, job.number)
                if not apart and not outside(search.method.name, search.method.config):
                    row = here((search.bank, job))
                else:
                    child = child or Child(_evaluator, device, threads, timeout, plugin_files())
                    row = child.ask((search.bank, job))
                    if row is None:
                        row, child = failed(job, child.end()), None
                search.put(row)
                if isinstance(row, Row):
                    ended(search, row)
        finally:
            if child is not None:
                child.end()


def _evaluator(
    device: str, threads: int, timeout: float | None, plugins: Sequence[Path] = ()
) -> Callable[[tuple[Bank, Job]], Row | Decision]:
    """Return a function that runs a trial of a search; trials share its cache of their bank."""
    from bench.plugins.files import load_files

    load_files(plugins)
    evaluator = Evaluator(device, threads)
    return lambda given: run_whole(given[1], given[0], evaluator, timeout)
