"""Run one job of a search seed by seed, until all seeds are scored, it is pruned, or it fails."""

from __future__ import annotations

import time

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before thread pools are limited
from threadpoolctl import threadpool_limits

from bench.bank.bank import Bank
from bench.executors.deadline import TrialTimeout, deadline
from bench.trials.run import explain
from bench.tune.compare import Duel, interval, scores
from bench.tune.history import Decision, Row
from bench.tune.job import Job
from bench.tune.objective import Evaluator, window


class Attempt:
    """A running job; every `step` scores one more seed."""

    def __init__(self, job: Job, timeout: float | None = None, *, expendable: bool = False) -> None:
        self.job, self.timeout, self.expendable = job, timeout, expendable
        self.scores: list[float] = []
        self.duels: list[Duel] = []
        self.seconds = 0.0

    def step(self, bank: Bank, evaluator: Evaluator) -> Row | Decision | None:
        """Score the next seed; return the result when the job has finished, otherwise None.

        A job fails if its method raises or takes longer than the time limit for one seed.
        """
        seed = self.job.seeds[len(self.scores) + len(self.duels)]
        start = time.perf_counter()
        reason = None
        try:
            with threadpool_limits(evaluator.threads), deadline(self.timeout, kill=self.expendable):
                self._score(bank, evaluator, seed)
        except TrialTimeout as error:
            evaluator.forget()
            reason = f"seed {seed}: {error}"
        except (Exception, SystemExit) as error:
            evaluator.forget()
            reason = f"seed {seed}: {explain(error)}"
        self.seconds += time.perf_counter() - start
        if self.job.rival is not None:
            over = reason is not None or len(self.duels) == len(self.job.seeds)
            return self._decision(bank, reason) if over else None
        if reason is not None:
            return self._row("failed", reason)
        done = len(self.scores)
        if done == len(self.job.seeds):
            return self._row("ok")
        bar, mean = self.job.bars[done - 1], sum(self.scores) / done
        if bar is not None and mean < bar:
            return self._row("pruned", f"mean {mean:.4f} after {done} of {len(self.job.seeds)} seeds, median {bar:.4f}")
        return None

    def _score(self, bank: Bank, evaluator: Evaluator, seed: int) -> None:
        job = self.job
        if job.rival is None:
            self.scores.append(evaluator.score(bank, job.method, seed, job.budgets))
            return
        rows, defaults = evaluator.last(bank, job.rival, seed, job.budgets)
        _, best = evaluator.last(bank, job.method, seed, job.budgets)
        self.duels.append(Duel(rows, defaults, best))

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

    def _decision(self, bank: Bank, reason: str | None) -> Decision:
        if reason is not None:
            return Decision(trial=self.job.number, reason=reason, seconds=round(self.seconds, 3))
        ends = window(self.job.budgets, bank.manifest.macs)
        both = [scores(duel, *ends) for duel in self.duels]
        return Decision(
            trial=self.job.number,
            defaults=tuple(one for one, _ in both),
            best=tuple(other for _, other in both),
            interval=interval(self.duels, *ends),
            images=len({int(row) for duel in self.duels for row in duel.rows}),
            seconds=round(self.seconds, 3),
        )


def failed(job: Job, reason: str) -> Row | Decision:
    """Return the failed result of a job that did not finish."""
    if job.rival is not None:
        return Decision(trial=job.number, reason=reason)
    return Row(number=job.number, params=job.params, status="failed", scores=(), reason=reason)


def run_whole(job: Job, bank: Bank, evaluator: Evaluator, timeout: float | None) -> Row | Decision:
    """Run a whole job in this process and return its result."""
    attempt = Attempt(job, timeout)
    while (ended := attempt.step(bank, evaluator)) is None:
        pass
    return ended
