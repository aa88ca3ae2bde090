"""The serial executor: trials one after the other, in this process or, with limits, in a child process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bench.bank.bank import Bank
from bench.executors.memory import check_supported
from bench.executors.worker import Settings, Worker
from bench.trials.plan import Trial
from bench.trials.run import Result


def run(
    trials: Iterable[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None] = lambda trial: None,
    *,
    plugins: Sequence[Path | str] = (),
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends.

    With a limit on time or memory they run in a child process, which loads the files `plugins` itself. Raises
    UserError if this system cannot limit memory.
    """
    if settings.timeout is not None or settings.memory is not None:
        from bench.executors import isolated

        check_supported(settings.memory)
        yield from isolated.run(trials, settings, started, plugins=plugins)
        return
    worker = Worker(settings)
    for bank, trial in trials:
        started(trial)
        yield trial, worker.run(bank, trial)
