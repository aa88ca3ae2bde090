"""What runs trials in one process, whichever executor sends them: neighbours share splits, faults are caught."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from bench.bank.bank import Bank
from bench.executors.deadline import TrialTimeout, deadline
from bench.trials.plan import Trial
from bench.trials.record import Status, without_result
from bench.trials.run import Result, Splits, load_splits, run_trial


@dataclass(frozen=True)
class Settings:
    """How trials are run, the same for every executor."""

    device: str
    threads: int  # part of the plan: no executor may compute a trial with another number
    provenance: dict[str, Any]
    retries: int = 0
    timeout: float | None = None  # seconds for one attempt at one trial


class Worker:
    """Runs trials one by one; those of one bank and seed that follow each other share their task."""

    def __init__(self, settings: Settings, *, expendable: bool = False) -> None:
        self.settings = settings
        self.expendable = expendable  # whether this process may be ended to stop a trial that hangs
        self._held: tuple[str, int, Splits] | None = None

    def run(self, bank: Bank, trial: Trial) -> list[Result]:
        """Return one result per operating point that the trial owes; what failed is tried again `retries` times."""
        torch.set_num_threads(self.settings.threads)
        results = self._attempt(bank, trial)
        for _ in range(self.settings.retries):
            failed = [i for i, (record, _) in enumerate(results) if record.status in ("failed", "timeout")]
            if not failed:
                break
            again = dataclasses.replace(trial, points=tuple(trial.points[i] for i in failed))
            for i, result in zip(failed, self._attempt(bank, again), strict=True):
                results[i] = result
        return results

    def _attempt(self, bank: Bank, trial: Trial) -> list[Result]:
        try:
            with deadline(self.settings.timeout, kill=self.expendable):
                return run_trial(trial, self._splits(bank, trial.seed), self.settings.provenance)
        except TrialTimeout as error:
            self._held = None  # whatever the interrupted trial left in the task's memo
            return no_results(trial, self.settings.provenance, bank.manifest.macs[-1], "timeout", str(error))

    def _splits(self, bank: Bank, seed: int) -> Splits:
        if self._held is None or self._held[:2] != (bank.digest, seed):
            self._held = None  # let go of the last splits before the next are loaded
            self._held = (bank.digest, seed, load_splits(bank, seed, self.settings.device))
        return self._held[2]


def no_results(trial: Trial, provenance: dict[str, Any], full_macs: int, status: Status, reason: str) -> list[Result]:
    """Return a result for each point of a trial that came to nothing."""
    return [(without_result(trial.cell, p, full_macs, provenance, status, reason), None) for p in trial.points]
