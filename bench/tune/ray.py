"""Run searches with Ray Tune: one searcher proposes the trials of all of them, and reused actors score the trials.

`ray.tune.search.optuna.OptunaSearch` is not used, because it reports a pruned trial to Optuna as complete, with the
mean of its first seeds, and its proposals depend on the order in which trials end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bank.bank import Bank
from bench.executors.bank_ref import BankRef, files_of, reference, resolve
from bench.executors.cluster import Cluster, connected, need, slots
from bench.executors.ray import load_plugins
from bench.executors.worker import Settings
from bench.method import Method
from bench.trials.guard import outside
from bench.tune.attempt import Attempt, failed
from bench.tune.history import Decision, Row
from bench.tune.job import Job
from bench.tune.objective import Evaluator
from bench.tune.search import Search
from bench.tune.serial import Ended, Told
from bench.tune.space import configured

os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C is ours

import ray  # isort: skip - bench.executors.cluster configures it before it is imported
from ray import tune  # isort: skip
from ray.tune.search import Searcher  # isort: skip

RETRIES = 1  # of a trial whose process died


@dataclass(frozen=True)
class Subject:
    """One search as it is sent to workers. The method is pickled separately, as its plugins must be loaded first."""

    bank_ref: BankRef
    files: dict[str, Any]  # references to the bank's files; empty if there is one node, which has them
    method: bytes
    seeds: tuple[int, ...]
    deciding: tuple[int, ...]
    budgets: tuple[float, ...]


@dataclass(frozen=True)
class WorkerPayload:
    """The data that is sent to every worker once."""

    subjects: tuple[Subject, ...]
    settings: Settings
    plugins: tuple[tuple[Path, bytes], ...]


class Rounds(Searcher):
    """Proposes the next trial of the first search that has one, and receives the rows of trials."""

    def __init__(self, searches: Sequence[Search], started: Told, ended: Ended) -> None:
        super().__init__(metric="score", mode="max")
        self.searches, self.started, self.ended = searches, started, ended
        self.jobs: dict[str, tuple[Search, Job]] = {}
        self.broken: BaseException | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial; None while all searches wait for their rounds to end."""
        if self.broken is not None or all(search.finished for search in self.searches):
            return Searcher.FINISHED  # type: ignore[return-value]
        for index, search in enumerate(self.searches):
            job = search.take()
            if job is not None:
                self.jobs[trial_id] = (search, job)
                self.started(search, job.number)
                last = job.rival is not None
                trial = json.dumps({"number": job.number, "params": job.params, "bars": job.bars, "last": last})
                return {"search": index, "trial": trial}
        return None

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Pass the row of a finished trial to its search; a trial whose process died has failed."""
        search, job = self.jobs.pop(trial_id)
        text = None if error or not result else result.get("ended")
        died = f"its process died in {RETRIES + 1} attempts (killed, out of memory, or crashed)"
        try:
            kind = Row if job.rival is None else Decision
            row = kind.model_validate_json(text) if text else failed(job, died)
            search.put(row)
            if isinstance(row, Row):
                self.ended(search, row)
        except Exception as problem:
            self.broken = problem

    def __getstate__(self) -> dict[str, Any]:
        """Store nothing in the state that Tune writes: a search resumes from its own file."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Store nothing: the files of the searches are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: the files of the searches are the state."""


class SeedBySeed(tune.Trainable):
    """A trial as Ray Tune sees it: every step scores one more seed; the actor is reused for the next trial."""

    def setup(self, config: dict[str, Any], payload: WorkerPayload) -> None:  # type: ignore[override]
        """Store what all trials of this actor share, and prepare the first trial."""
        load_plugins(payload.plugins)
        self.payload = payload
        self.evaluator = Evaluator(payload.settings.device, payload.settings.threads)
        self.banks: dict[str, Bank] = {}
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next trial."""
        subject, trial = self.payload.subjects[new_config["search"]], json.loads(new_config["trial"])
        digest = subject.bank_ref.digest
        if digest not in self.banks:
            self.banks[digest] = resolve(
                subject.bank_ref, lambda: ((name, ray.get(reference)) for name, reference in subject.files.items())
            )
        self.bank = self.banks[digest]
        usual: Method = pickle.loads(subject.method)
        method = configured(usual, trial["params"])
        seeds, rival = (subject.deciding, usual) if trial["last"] else (subject.seeds, None)
        bars = tuple(trial["bars"])
        job = Job(trial["number"], method, seeds, subject.budgets, bars, trial["params"], rival)
        self.attempt = Attempt(job, self.payload.settings.timeout, expendable=True)
        return True

    def step(self) -> dict[str, Any]:
        """Score one seed; the result of the last seed contains the row."""
        ended = self.attempt.step(self.bank, self.evaluator)
        scores = self.attempt.scores
        score = sum(scores) / len(scores) if scores else 0.0
        return {"score": score, "done": ended is not None, "ended": ended.model_dump_json() if ended else None}


def run(
    searches: Sequence[Search],
    settings: Settings,
    cluster: Cluster,
    plugins: Sequence[Path],
    started: Told,
    ended: Ended,
) -> None:
    """Run all trials of all searches in parallel; call `started` and `ended` for each.

    Raises UserError if Ray cannot be reached or has too few resources for a trial, or if a file cannot be written.
    """
    owed = sum(search.owed for search in searches)
    if owed == 0:
        return
    foreign = [s for s in searches if outside(s.method.name, s.method.config)]
    own = [s for s in searches if s not in foreign]
    needed = need(cluster, settings)
    if "GPU" in needed:
        settings = dataclasses.replace(settings, device="cuda")  # Ray shows each worker only its own devices
    with connected(cluster, settings, owed) as place:
        slots(needed, cluster.jobs)
        files = [(Path(p).absolute(), Path(p).read_bytes()) for p in plugins]
        for group in filter(None, [own, *([search] for search in foreign)]):  # workers are shared within a group
            _run(group, settings, cluster, needed, tuple(files), place, started, ended)


def _run(
    searches: Sequence[Search],
    settings: Settings,
    cluster: Cluster,
    needed: dict[str, float],
    plugins: tuple[tuple[Path, bytes], ...],
    place: Path | None,
    started: Told,
    ended: Ended,
) -> None:
    """Run searches whose trials may share workers."""
    rounds = Rounds(searches, started, ended)
    payload = WorkerPayload(_subjects(searches), settings, plugins)
    with tempfile.TemporaryDirectory(prefix="exitbench-tune-", dir=place, ignore_cleanup_errors=True) as folder:
        tune.Tuner(
            tune.with_resources(tune.with_parameters(SeedBySeed, payload=payload), needed),
            tune_config=tune.TuneConfig(
                search_alg=rounds,
                num_samples=sum(search.owed for search in searches),
                reuse_actors=True,
                max_concurrent_trials=cluster.jobs,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=folder,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    if rounds.broken is not None:
        raise rounds.broken


def _subjects(searches: Sequence[Search]) -> tuple[Subject, ...]:
    """Return the searches as they are sent to workers; with several nodes, bank files go into Ray's object store."""
    banks = {search.bank.digest: search.bank for search in searches}
    files: dict[str, dict[str, Any]] = {digest: {} for digest in banks}
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        files = {d: {name: ray.put(array) for name, array in files_of(bank)} for d, bank in banks.items()}
    return tuple(
        Subject(
            reference(s.bank),
            files[s.bank.digest],
            pickle.dumps(s.method),
            s.budget.seeds,
            s.budget.deciding,
            s.budget.budgets,
        )
        for s in searches
    )
