"""The serial executor: trials one after the other, in this process or in child processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bench.bank.bank import Bank
from bench.executors.isolated import Keeper
from bench.executors.memory import check_supported
from bench.executors.worker import Settings, Worker
from bench.trials.guard import outside
from bench.trials.plan import Trial
from bench.trials.run import Result


def run(
    trials: Iterable[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None] = lambda trial: None,
    *,
    plugins: Sequence[Path | str] = (),
    apart: bool = False,
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends.

    Trials run in a child process if there is a limit on time or memory, or with `apart`, for a process that has run
    third-party datasets or backbones. Third-party methods always do, each in a process of its own. A child loads the
    files `plugins` itself. Raises UserError if this system cannot limit memory.
    """
    check_supported(settings.memory)
    always = apart or settings.timeout is not None or settings.memory is not None
    worker = Worker(settings)
    with Keeper(settings, plugins) as keeper:
        for bank, trial in trials:
            started(trial)
            alone = always or outside(trial.method, trial.config)
            yield trial, (keeper if alone else worker).run(bank, trial)
