"""One search: it proposes trials in rounds, writes its file after each trial, and ends with a verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.bank.bank import Bank
from bench.bank.cell import cell_of
from bench.errors import UserError
from bench.method import Method
from bench.plugins.params import label
from bench.system.files import uninterrupted
from bench.trials.identity import method_identity
from bench.tune import history as files
from bench.tune import rounds
from bench.tune.history import Decision, Protocol, Row, Subject, Tuned
from bench.tune.job import Job
from bench.tune.objective import window
from bench.tune.space import Space, configured, space_of
from bench.tune.verdict import verdict, winner

DECIDERS = 5
LAST = -1  # the final comparison, among the numbers of running jobs
SAMPLER = (
    f"TPE, {rounds.RANDOM} trials before it models, {rounds.ROUND} at a time, random where it repeats itself; "
    "trial 0 the defaults"
)
PACKAGES = ("exitbench", "torch", "numpy", "scikit-learn", "optuna", "ray")


@dataclass(frozen=True)
class Budget:
    """The search budget, the same for every method: trials, seeds, operating points, and the sampler's seed.

    Threads and device are included because they can change a score.
    """

    trials: int
    seeds: tuple[int, ...]
    budgets: tuple[float, ...]
    search_seed: int = 0
    deciders: int = DECIDERS  # number of seeds on which winner and defaults are compared
    threads: int = 1
    device: str = "cpu"

    @property
    def deciding(self) -> tuple[int, ...]:
        """The seeds after those of the search, so that a lucky initialisation is not used again."""
        return tuple(max(self.seeds) + 1 + i for i in range(self.deciders))


class Search:
    """The search of one method on one bank. `take` returns jobs; `put` stores their results and writes the file."""

    def __init__(self, bank: Bank, method: Method, budget: Budget, folder: Path) -> None:
        self.bank, self.method, self.budget = bank, method, budget
        self.name = label(method.name, method.config)
        self.space: Space = space_of(method)
        self.cell = cell = cell_of(bank)
        self.title = f"{cell.dataset} → {cell.backbone} · {self.name}"
        self.path = files.path_of(folder, cell, self.name)
        self._subject = Subject(
            method=self.name,
            identity=method_identity(method).text,
            **cell.model_dump(include=set(Subject.model_fields)),
            space=self.space.describe(),
            when={n: {o: list(v) for o, v in when.items()} for n, when in self.space.when.items()},
        )
        self._protocol = Protocol(
            seeds=budget.seeds,
            deciding=budget.deciding,
            budgets=budget.budgets,
            window=window(budget.budgets, bank.manifest.macs),
            search_seed=budget.search_seed,
            threads=budget.threads,
            device=budget.device,
            round_size=rounds.ROUND,
            sampler=SAMPLER,
            pruning=f"after each seed, below the median of at least {rounds.LEAST} earlier whole trials",
        )
        self._rows: dict[int, Row] = {}
        self._decision: Decision | None = None
        self._proposed: dict[int, dict[str, Any]] = {}
        self._running: set[int] = set()
        self._resume()
        self._advance()
        if self.finished and (not self.path.exists() or files.read(self.path) != self.result()):
            self._write()  # the requested number of trials has changed

    @property
    def history(self) -> tuple[Row, ...]:
        """The finished trials, by number."""
        return tuple(self._rows[n] for n in sorted(self._rows))

    @property
    def searched(self) -> bool:
        """Whether all requested trials have finished."""
        return all(n in self._rows for n in range(self.budget.trials))

    @property
    def finished(self) -> bool:
        """Whether the search is over: its winner, if it has one, was compared with the defaults."""
        if not self.searched:
            return False
        best = winner(self.history[: self.budget.trials])
        return best is None or (self._decision is not None and self._decision.trial == best.number)

    @property
    def owed(self) -> int:
        """The maximum number of jobs that are left."""
        return 0 if self.finished else self.budget.trials - len(self.history[: self.budget.trials]) + 1

    def take(self) -> Job | None:
        """Return a job to run now; None while the round is running, or if nothing is left."""
        if self.searched:
            return self._last()
        for number, params in sorted(self._proposed.items()):
            if number not in self._rows and number not in self._running:
                self._running.add(number)
                limits = rounds.bars(self._before(number), len(self.budget.seeds))
                method = configured(self.method, params)
                return Job(number, method, self.budget.seeds, self.budget.budgets, tuple(limits), params)
        return None

    def _last(self) -> Job | None:
        best = winner(self.history[: self.budget.trials])
        if best is None or self.finished or LAST in self._running:
            return None
        self._running.add(LAST)
        method = configured(self.method, best.params)
        return Job(best.number, method, self.budget.deciding, self.budget.budgets, (), best.params, self.method)

    def put(self, ended: Row | Decision) -> None:
        """Store the result of a job and write the file."""
        if isinstance(ended, Decision):
            self._running.discard(LAST)
            self._decision = ended
            self._write()
            return
        row = ended
        self._running.discard(row.number)
        self._rows[row.number] = row
        self._advance()
        self._write()

    def result(self) -> Tuned:
        """Return the search as it is written to its file: with its verdict if it is finished."""
        state = Tuned(
            subject=self._subject,
            protocol=self._protocol,
            trials=self.budget.trials,
            kept=None,
            versions=_versions(),
            history=self.history,
        )
        if not self.finished:
            return state
        trials = self.history[: self.budget.trials]
        decision = self._decision if winner(trials) is not None else None
        kept, row, reason = verdict(trials, decision)
        update = {"kept": kept, "reason": reason, "parameters": row.params, "decision": decision}
        return state.model_copy(update=update)

    def _before(self, number: int) -> list[Row]:
        first = number - number % rounds.ROUND
        return [row for row in self.history if row.number < first]

    def _advance(self) -> None:
        """Propose the next round when the last one has finished; a repeated trial copies the row of the earlier one."""
        while not self.searched:
            first = next(n for n in range(self.budget.trials) if n not in self._rows)
            if first in self._proposed:
                return
            first -= first % rounds.ROUND
            numbers = range(first, min(first + rounds.ROUND, self.budget.trials))
            params = rounds.propose(self.space, self._before(first), numbers, self.budget.search_seed, self._accepts)
            self._proposed = dict(zip(numbers, params, strict=True))
            for number, chosen in self._proposed.items():
                same = next((row for row in self._before(first) if row.params == chosen), None)
                if same is not None and number not in self._rows:
                    origin = same.number if same.same_as is None else same.same_as
                    self._rows[number] = same.model_copy(update={"number": number, "same_as": origin, "seconds": 0.0})

    def _accepts(self, params: Mapping[str, Any]) -> bool:
        with contextlib.suppress(ValueError):
            configured(self.method, params)
            return True
        return False

    def _resume(self) -> None:
        """Continue from the file if it was the same search; move one with other settings aside."""
        if not self.path.exists():
            return
        stored = files.read(self.path)
        if (stored.subject, stored.protocol) != (self._subject, self._protocol):
            aside = files.moved_aside(self.path)
            aside.parent.mkdir(parents=True, exist_ok=True)
            self.path.rename(aside)
            return
        self._rows, self._decision = {row.number: row for row in stored.history}, stored.decision

    def _write(self) -> None:
        with uninterrupted():
            try:
                files.write(self.path, self.result())
            except OSError as error:
                problem = f"The search cannot be written to '{self.path}' ({error.strerror})."
                raise UserError(f"{problem} Free some space and run the same command again: it resumes.") from None


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
