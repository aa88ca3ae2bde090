"""One trial of a search as it runs: seed after seed, until all are scored, a bar is missed, or something breaks."""

from __future__ import annotations

import time

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before thread pools are limited
from threadpoolctl import threadpool_limits

from bench.bank.bank import Bank
from bench.executors.deadline import TrialTimeout, deadline
from bench.trials.run import explain
from bench.tune.history import Row
from bench.tune.job import Job
from bench.tune.objective import Evaluator


class Attempt:
    """A job under way; every `step` scores one more seed."""

    def __init__(self, job: Job, timeout: float | None = None, *, expendable: bool = False) -> None:
        self.job, self.timeout, self.expendable = job, timeout, expendable
        self.scores: list[float] = []
        self.seconds = 0.0

    def step(self, bank: Bank, evaluator: Evaluator) -> Row | None:
        """Score the next seed; return the trial's row once it has ended, None before.

        A method that raises, or takes longer than the time limit for one seed, makes a failed trial.
        """
        seed = self.job.seeds[len(self.scores)]
        start = time.perf_counter()
        reason = None
        try:
            with threadpool_limits(evaluator.threads), deadline(self.timeout, kill=self.expendable):
                self.scores.append(evaluator.score(bank, self.job.method, seed, self.job.budgets))
        except TrialTimeout as error:
            evaluator.forget()
            reason = f"seed {seed}: {error}"
        except (Exception, SystemExit) as error:
            evaluator.forget()
            reason = f"seed {seed}: {explain(error)}"
        self.seconds += time.perf_counter() - start
        if reason is not None:
            return self._row("failed", reason)
        done = len(self.scores)
        if done == len(self.job.seeds):
            return self._row("ok")
        bar, mean = self.job.bars[done - 1], sum(self.scores) / done
        if bar is not None and mean < bar:
            return self._row("pruned", f"mean {mean:.4f} after {done} of {len(self.job.seeds)} seeds, median {bar:.4f}")
        return None

    def _row(self, status: str, reason: str | None = None) -> Row:
        return Row.model_validate(
            {
                "number": self.job.number,
                "params": self.job.params,
                "status": status,
                "scores": tuple(self.scores),
                "reason": reason,
                "seconds": round(self.seconds, 3),
            }
        )


def run_whole(job: Job, bank: Bank, evaluator: Evaluator, timeout: float | None) -> Row:
    """Run a job from its first seed to its end in this process."""
    attempt = Attempt(job, timeout)
    while (row := attempt.step(bank, evaluator)) is None:
        pass
    return row
