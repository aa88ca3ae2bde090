"""The serial executor: trials one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bench.bank.bank import Bank
from bench.executors.worker import Settings, Worker
from bench.trials.plan import Trial
from bench.trials.run import Result


def run(
    trials: Iterable[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None] = lambda trial: None,
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends."""
    worker = Worker(settings)
    for bank, trial in trials:
        started(trial)
        yield trial, worker.run(bank, trial)
