"""Run trials in one process, for every executor: consecutive trials share splits, and errors become records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before thread pools are limited
import torch
from threadpoolctl import threadpool_limits

from bench.bank.bank import Bank
from bench.executors.deadline import TrialTimeout, deadline
from bench.executors.memory import exhausted, memory_limit
from bench.trials.guard import guarded, outside
from bench.trials.plan import Trial
from bench.trials.record import Status, without_result
from bench.trials.run import Result, explain, run_trial
from bench.trials.splits import SeedSplits, load_splits

UNFINISHED = ("failed", "timeout")


SHOWN = 4  # changes that the reason of a failed trial names


@dataclass(frozen=True)
class Settings:
    """How trials are run, the same for every executor."""

    device: str
    threads: int  # part of the plan: no executor may compute a trial with another number
    provenance: dict[str, Any]
    retries: int = 0
    timeout: float | None = None  # seconds for one attempt at one trial
    memory: float | None = None  # GiB that one attempt may allocate; enforced in expendable processes only


class Worker:
    """Runs trials one by one; consecutive trials of one bank and seed share their task."""

    def __init__(self, settings: Settings, *, expendable: bool = False) -> None:
        self.settings = settings
        self.expendable = expendable  # whether this process may be ended to stop a trial that hangs
        self._held: tuple[str, int, SeedSplits] | None = None

    def run(self, bank: Bank, trial: Trial) -> list[Result]:
        """Return one result per operating point of the trial; failed ones are retried up to `retries` times."""
        return retry(bank, trial, self.settings.retries, self.attempt)

    def attempt(self, bank: Bank, trial: Trial) -> list[Result]:
        """Try a trial once, within its limits of threads, time and memory; every error becomes a result."""
        s = self.settings
        torch.set_num_threads(s.threads)
        try:
            with threadpool_limits(s.threads), deadline(s.timeout, kill=self.expendable):
                splits = self._splits(bank, trial.seed)
                with (
                    memory_limit(s.memory if self.expendable else None),
                    guarded(splits, thorough=outside(trial.method, trial.config)) as changed,
                ):
                    results = run_trial(trial, splits, s.provenance)
        except TrialTimeout as error:
            return self._nothing(bank, trial, "timeout", str(error))
        except (Exception, SystemExit) as error:
            return self._nothing(bank, trial, "failed", explain(error))
        if changed:
            reason = f"it changed what all methods share: {'; '.join(changed[:SHOWN])}"
            return self._nothing(bank, trial, "failed", reason)
        if s.memory is not None and any(exhausted(record.reason) for record, _ in results):
            self._held = None
            return [(_too_much(record, s.memory), kept) for record, kept in results]
        return results

    def _nothing(self, bank: Bank, trial: Trial, status: Status, reason: str) -> list[Result]:
        self._held = None  # the interrupted trial may have left something in the task's shared cache
        return failure_records(trial, self.settings.provenance, bank.manifest.macs[-1], status, reason)

    def _splits(self, bank: Bank, seed: int) -> SeedSplits:
        if self._held is None or self._held[:2] != (bank.digest, seed):
            self._held = None  # free the previous splits before the next are loaded
            self._held = (bank.digest, seed, load_splits(bank, seed, self.settings.device))
        return self._held[2]


def retry(bank: Bank, trial: Trial, retries: int, attempt: Callable[[Bank, Trial], list[Result]]) -> list[Result]:
    """Attempt a trial, and retry its points that failed or timed out up to `retries` times."""
    results = attempt(bank, trial)
    for _ in range(retries):
        failed = [i for i, (record, _) in enumerate(results) if record.status in UNFINISHED]
        if not failed:
            break
        again = dataclasses.replace(trial, points=tuple(trial.points[i] for i in failed))
        for i, result in zip(failed, attempt(bank, again), strict=True):
            results[i] = result
    return results


def failure_records(
    trial: Trial, provenance: dict[str, Any], full_macs: int, status: Status, reason: str
) -> list[Result]:
    """Return a result for each point of a trial that failed as a whole."""
    return [(without_result(trial.cell, p, full_macs, provenance, status, reason), None) for p in trial.points]


def _too_much(record: Any, gib: float) -> Any:
    if not exhausted(record.reason):
        return record
    return record.model_copy(update={"reason": f"it needed more memory than its limit of {gib:g} GiB: {record.reason}"})
