"""Run trials of the serial executor in child processes, which can be killed without harm to other processes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from bench.bank.bank import Bank
from bench.executors.child import Child, plugin_files
from bench.executors.deadline import GRACE
from bench.executors.worker import Settings, Worker, failure_records, retry
from bench.trials.guard import outside
from bench.trials.plan import Trial
from bench.trials.record import Status
from bench.trials.run import Result

OWN = "exitbench"  # the owner of the child for the methods of exitbench
SLACK = 5.0  # seconds after a trial's own deadline before the parent kills it: it may be stopped or stuck in the kernel


class Keeper:
    """Runs trials in child processes: one for all methods of exitbench, and one for each other method while it runs."""

    def __init__(self, settings: Settings, plugins: Sequence[Path | str]) -> None:
        self.settings, self.plugins = settings, tuple(Path(p).absolute() for p in plugins)
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for child in self.children.values():
            child.end()

    def run(self, bank: Bank, trial: Trial) -> list[Result]:
        """Return the results of a trial; if it hangs or its process dies, it fails."""
        return retry(bank, trial, self.settings.retries, self._attempt)

    def _attempt(self, bank: Bank, trial: Trial) -> list[Result]:
        owner = trial.method if outside(trial.method, trial.config) else OWN
        for other in self.children.keys() - {OWN, owner}:
            self.children.pop(other).end()
        if owner not in self.children:
            settings = dataclasses.replace(self.settings, retries=0)
            self.children[owner] = Child(_worker, settings, self.plugins or plugin_files())
        child = self.children[owner]
        began = time.monotonic()
        limit = self.settings.timeout
        bank = dataclasses.replace(bank, path=bank.path.absolute())
        answer = child.ask((bank, trial), None if limit is None else limit + GRACE + SLACK)
        if answer is not None:
            return answer
        seconds, reason = time.monotonic() - began, child.end()
        del self.children[owner]
        status: Status = "failed"
        if limit is not None and seconds >= limit:
            status, reason = "timeout", f"no result within {limit:g} seconds, and its process was killed"
        return failure_records(trial, self.settings.provenance, bank.manifest.macs[-1], status, reason)


def _worker(settings: Settings, plugins: Sequence[Path]) -> Callable[[tuple[Bank, Trial]], list[Result]]:
    """Return the function that runs a trial in the child."""
    from bench.plugins.files import load_files

    load_files(plugins)
    worker = Worker(settings, expendable=True)
    return lambda job: worker.attempt(*job)
