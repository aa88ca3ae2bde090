"""Estimate how long the trials of a run take, from the records of similar earlier trials."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from bench.bank.cell import Cell
from bench.trials.accepted import made_by_other_code
from bench.trials.plan import REFERENCES, Trial
from bench.trials.record import Record, record_id
from bench.trials.rerun import State

# Where the estimate for a trial comes from, the most similar first.
SOURCES = (
    "earlier records of this bank",
    "earlier records of this dataset and backbone",
    "earlier records of the method with other parameters",
    "earlier records of other banks",
)
OTHERS = "the other methods of this run"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Counts:
    """How many trials or operating points are in each state; `todo` is the number that a run would compute."""

    total: int = 0
    done: int = 0
    failed: int = 0
    missing: int = 0
    changed: int = 0  # of those done or failed
    todo: int = 0

    @classmethod
    def of(cls, states: Iterable[State], rerun: str) -> Counts:
        """Count states."""
        found = list(states)
        counts = {name: sum(state.name == name for state in found) for name in ("done", "failed", "missing")}
        changed, todo = sum(state.changed for state in found), sum(state.owed(rerun) for state in found)
        return cls(len(found), **counts, changed=changed, todo=todo)

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Estimate:
    """How long something is expected to take (None if unknown), and where the estimate comes from."""

    seconds: float | None
    source: str


@dataclass
class _Run:
    """The stored records of one trial."""

    cell: Cell
    method: str
    hardware: Any
    fit: float = 0.0
    rest: list[float] = field(default_factory=list)  # inference and scoring, per operating point

    def seconds(self, points: int) -> float:
        return self.fit + points * sum(self.rest) / len(self.rest)


class History:
    """The parts of a store's records that states and estimates need."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._states: dict[str, State] = {}
        runs: dict[tuple[str, str, int], _Run] = {}
        for record in records:
            self._states[record.id] = State.of(record.status, made_by_other_code(record.point))
            if record.status in ("ok", "infeasible"):
                name = _label(record.point.kind, record.point.label)
                key = (record.cell.bank_digest, name, record.point.seed)
                run = runs.setdefault(key, _Run(record.cell, record.point.method, hardware(record.provenance)))
                run.fit = max(run.fit, record.timings.get("fit_seconds", 0.0))
                run.rest.append(sum(record.timings.get(f"{part}_seconds", 0.0) for part in ("play", "score")))
        self._runs: dict[str, list[_Run]] = defaultdict(list)
        self._families: dict[str, list[_Run]] = defaultdict(list)  # by the method's bare name
        for (_, name, _), run in runs.items():
            self._runs[name].append(run)
            if name != REFERENCES:
                self._families[run.method].append(run)

    def states(self, trial: Trial) -> list[State]:
        """Return the state of each of a trial's operating points."""
        return [self._states.get(record_id(trial.cell, p), State("missing")) for p in trial.points]

    def estimate(self, trial: Trial, here: Any) -> Estimate:
        """Return the median time of the most similar earlier trials; `here` is this machine's hardware.

        A fit covers all budgets even if only some are missing, so all of its time counts. Inference and scoring count
        per point.
        """
        name = _label(trial.points[0].kind, trial.points[0].label)
        cell = trial.cell
        same, family = self._runs.get(name, []), self._families.get(trial.method, [])
        choices = (
            [r for r in same if r.cell.bank_digest == cell.bank_digest],
            [r for r in same if _alike(r.cell, cell)],
            [r for r in family if r.cell.bank_digest == cell.bank_digest],
            [r for r in same if r.cell.limit == cell.limit],
        )
        for source, runs in zip(SOURCES, choices, strict=True):
            if runs:
                fitting = [r for r in runs if r.hardware == here]
                note = "" if fitting else ", on other hardware or threads"
                return Estimate(median(r.seconds(len(trial.points)) for r in fitting or runs), source + note)
        return Estimate(None, UNKNOWN)


@dataclass(frozen=True)
class Group:
    """The trials of one method on one bank, one per seed: their states, and the expected time of those to do."""

    method: str
    trials: Counts
    points: Counts
    each: Estimate  # one trial

    @property
    def seconds(self) -> float | None:
        """Return the expected time of all trials to do, one after the other."""
        return self.each.seconds * self.trials.todo if self.each.seconds is not None else None


def groups(every: Sequence[Trial], history: History, here: Any, rerun: str) -> list[Group]:
    """Return the trials of a bank by method, with estimates; unknown ones take the median of the others."""
    by_name: dict[str, list[Trial]] = defaultdict(list)
    for trial in every:
        by_name[_label(trial.points[0].kind, trial.points[0].label)].append(trial)
    estimates = {name: history.estimate(trials[0], here) for name, trials in by_name.items()}
    known = [e.seconds for name, e in estimates.items() if e.seconds is not None and name != REFERENCES]
    other = Estimate(median(known), OTHERS) if known else Estimate(None, UNKNOWN)
    result = []
    for name, trials in by_name.items():
        states = [history.states(trial) for trial in trials]
        whole = Counts.of(map(_of_trial, states), rerun)
        points = Counts.of((s for trial in states for s in trial), rerun)
        result.append(Group(name, whole, points, estimates[name] if estimates[name].seconds is not None else other))
    return result


def wall_seconds(found: Iterable[Group], at_once: int | None) -> float | None:
    """Return the expected time of the trials to do if `at_once` of them run in parallel; None if it is unknown."""
    busy = [g for g in found if g.trials.todo]
    if not busy:
        return 0.0
    single = [g.each.seconds for g in busy if g.each.seconds is not None]
    if at_once is None or len(single) < len(busy):
        return None
    total = sum(g.seconds for g in busy if g.seconds is not None)
    return max(total / at_once, max(single))


def hardware(provenance: dict[str, Any]) -> tuple[Any, ...]:
    """Return the part of a record's provenance that determines how long a trial takes."""
    return tuple(provenance.get(key) for key in ("cpu", "device", "threads"))


def _label(kind: str, label: str) -> str:
    return REFERENCES if kind == "reference" else label


def _of_trial(states: Sequence[State]) -> State:
    names = {state.name for state in states}
    name: Literal["done", "failed", "missing"] = "done"
    name = "missing" if "missing" in names else "failed" if "failed" in names else name
    return State(name, any(state.changed for state in states))


def _alike(a: Cell, b: Cell) -> bool:
    return (a.dataset, a.backbone, a.limit) == (b.dataset, b.backbone, b.limit)
