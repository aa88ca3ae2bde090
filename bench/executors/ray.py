"""The Ray executor: Ray Tune hands trials to reused workers on local cores and GPUs, or on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bank.bank import Bank
from bench.errors import BankError, UserError
from bench.executors.bank_ref import BankRef, Files, copies, files_of, reference, resolve
from bench.executors.cluster import Cluster, alive, connected, need, slots
from bench.executors.ledger import Event, Ledger
from bench.executors.memory import check_supported
from bench.executors.split import Part, split
from bench.executors.worker import Settings, Worker, failure_records
from bench.trials.guard import outside
from bench.trials.plan import Trial
from bench.trials.run import Result

import ray  # isort: skip - bench.executors.cluster must set its environment before
from ray import tune  # isort: skip

POLL = 0.05  # seconds between two reads of the ledger
JOIN = 10.0  # seconds that Tune has to stop
PATIENCE = 20  # failures of one trial that Tune itself tolerates; the ledger gives up before that
HEAD = "node:__internal_head__"  # a resource that only the head has, without which there is no cluster

__all__ = ["Cluster", "run"]


@dataclass(frozen=True)
class WorkerPayload:
    """What is sent once to all workers. Every trial is pickled on its own, because its plugins must be loaded first."""

    banks: dict[str, BankRef]  # by the bank's digest
    jobs: tuple[tuple[str, bytes], ...]  # digest of the bank, and the trial
    owners: tuple[str | None, ...]  # of each job: its method, if it is third-party
    plugins: tuple[tuple[Path, bytes], ...]  # paths of plugin files as the driver sees them, and their contents


class TrialWorker(tune.Trainable):
    """A worker as a Ray Tune trainable: one `step` is one whole trial; the actor is reused for the next."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], payload: WorkerPayload, settings: Settings, ledger: Any
    ) -> None:
        """Keep what all trials of this actor share."""
        self.payload, self.ledger, self.index = payload, ledger, config["index"]
        self.worker = Worker(settings, expendable=True)
        self.banks: dict[str, Bank] = {}
        self.outsider: str | None = None  # the third-party method that this process has run

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Continue with the next trial."""
        self.index = new_config["index"]
        return True

    def step(self) -> dict[str, Any]:
        """Run the trial unless the ledger refuses, and report its results."""
        owner = self.payload.owners[self.index]
        if self.outsider not in (None, owner):
            os._exit(0)  # a third-party method ran here, so this trial needs a fresh process
        node = ray.get_runtime_context().get_node_id()
        while (answer := ray.get(self.ledger.begin.remote(self.index, node))) == "wait":
            time.sleep(0.5)
        if answer == "go":
            self.outsider = owner
            ray.get(self.ledger.finish.remote(self.index, self._results()))
        return {"done": True}

    def _results(self) -> list[Result] | str:
        digest, pickled = self.payload.jobs[self.index]
        try:
            load_plugins(self.payload.plugins)
            trial = pickle.loads(pickled)
            if digest not in self.banks:
                self.banks[digest] = resolve(self.payload.banks[digest], lambda: self._fetch(digest))
        except Exception as error:
            text = " ".join(str(error).split())
            return f"a worker could not open it: {text if isinstance(error, UserError) else repr(error)}"
        return self.worker.run(self.banks[digest], trial)

    def _fetch(self, digest: str) -> Files:
        while (files := ray.get(self.ledger.want.remote(digest))) is None:
            time.sleep(0.2)
        return ((name, ray.get(reference)) for name, reference in files.items())


def run(
    trials: Sequence[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None] = lambda trial: None,
    *,
    cluster: Cluster | None = None,
    plugins: Sequence[Path | str] = (),
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends, in no particular order.

    A process that dies is a failed attempt. A lost node is not: its trials move to other nodes. Raises UserError if
    the cluster cannot be reached, is lost, or has no room for a single trial.
    """
    if not trials:
        return
    cluster = cluster or Cluster()
    needed = need(cluster, settings)
    if "GPU" in needed:
        settings = dataclasses.replace(settings, device="cuda")  # Ray shows each worker its own devices only
    check_supported(settings.memory)
    with connected(cluster, settings, sum(len(trial.points) for _, trial in trials)) as folder:
        parts = split([trial for _, trial in trials], slots(needed, cluster.jobs))
        yield from _Dispatch(trials, parts, settings, needed, cluster.jobs, plugins, folder).events(started)


class _Dispatch:
    """One run on a connected cluster, seen from the driver."""

    def __init__(
        self,
        trials: Sequence[tuple[Bank, Trial]],
        parts: list[Part],
        settings: Settings,
        needed: dict[str, float],
        at_once: int | None,
        plugins: Sequence[Path | str],
        folder: Path | None,
    ) -> None:
        self.trials, self.parts, self.settings, self.needed, self.at_once = trials, parts, settings, needed, at_once
        self.folder = folder  # for Tune's files
        self.banks = {bank.digest: bank for bank, _ in trials}
        self.sent: list[Any] = []  # references to what the object store must keep
        self.results: list[dict[int, list[Result]]] = [{} for _ in trials]  # by trial, then by part
        self.trouble = "no worker could run it"
        self.payload = WorkerPayload(
            {digest: reference(bank) for digest, bank in self.banks.items()},
            tuple((trials[part.origin][0].digest, pickle.dumps(part.trial)) for part in parts),
            tuple(part.trial.method if outside(part.trial.method, part.trial.config) else None for part in parts),
            tuple((Path(p).absolute(), Path(p).read_bytes()) for p in plugins),
        )
        self.ledger: Any = ray.remote(num_cpus=0, resources={HEAD: 0.001})(Ledger).remote(settings.retries, alive)
        self.watch = _Watch(self.ledger)

    def events(self, started: Callable[[Trial], None]) -> Iterator[tuple[Trial, list[Result]]]:
        tuner = threading.Thread(target=self._tune, daemon=True)
        tuner.start()
        begun, open_ = set(), set(range(len(self.parts)))
        try:
            while open_:
                last = not tuner.is_alive()
                for event in self._take():
                    if event.kind == "wanted":
                        self._send(event.payload)
                        continue
                    origin = self.parts[event.index].origin
                    if event.kind == "started":
                        if origin not in begun:
                            begun.add(origin)
                            started(self.trials[origin][1])
                    elif event.index in open_:
                        open_.discard(event.index)
                        yield from self._landed(event)
                if last:
                    break
                time.sleep(POLL)
            for index in sorted(open_):
                yield from self._landed(Event("refused", index, self.trouble))
            tuner.join(timeout=JOIN)
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                if tuner.is_alive():
                    self.ledger.shut_down.remote()  # running trials end, no more start
                    self.watch.left = True
                    tuner.join(timeout=JOIN)  # Ray must not be shut down under a thread that calls it
                else:
                    ray.kill(self.ledger)

    def _take(self) -> list[Event]:
        try:
            return ray.get(self.ledger.take.remote())
        except ray.exceptions.RayError as error:
            text = " ".join(str(error).split())[:200]
            raise UserError(
                f"The Ray cluster was lost ({type(error).__name__}: {text}). Finished trials are kept; the same "
                "command continues from there."
            ) from None

    def _landed(self, event: Event) -> Iterator[tuple[Trial, list[Result]]]:
        """Keep the results of a part; yield its trial when they are complete."""
        origin = self.parts[event.index].origin
        landed = self.results[origin]
        landed[event.index] = self._results(event)
        if len(landed) == sum(part.origin == origin for part in self.parts):
            yield self.trials[origin][1], [result for index in sorted(landed) for result in landed[index]]
            landed.clear()

    def _results(self, event: Event) -> list[Result]:
        part, limit = self.parts[event.index], self.settings.timeout
        full = self.trials[part.origin][0].manifest.macs[-1]
        if event.kind == "finished" and not isinstance(event.payload, str):
            return event.payload
        if event.kind != "died":
            return failure_records(part.trial, self.settings.provenance, full, "failed", event.payload)
        often = f"{len(event.payload)} attempt{'s' if len(event.payload) > 1 else ''}"
        if limit is not None and all(seconds >= limit for seconds in event.payload):
            reason = f"no result within {limit:g} seconds, and its process was killed ({often})"
            return failure_records(part.trial, self.settings.provenance, full, "timeout", reason)
        reason = f"its process died in {often} (killed, out of memory, or crashed)"
        return failure_records(part.trial, self.settings.provenance, full, "failed", reason)

    def _send(self, digest: str) -> None:
        """Put a bank that a node cannot see into the object store."""
        try:
            files = {name: ray.put(array) for name, array in files_of(self.banks[digest])}
        except (OSError, BankError):
            files = {}
        self.sent.append(files)
        self.ledger.offer.remote(digest, files)

    def _tune(self) -> None:
        """Let Ray Tune run all parts; their results go through the ledger."""
        worker = tune.with_parameters(TrialWorker, payload=self.payload, settings=self.settings, ledger=self.ledger)
        try:
            with tempfile.TemporaryDirectory(
                prefix="exitbench-ray-", dir=self.folder, ignore_cleanup_errors=True
            ) as folder:
                tune.Tuner(
                    tune.with_resources(worker, self.needed),
                    param_space={"index": tune.grid_search(list(range(len(self.parts))))},
                    tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=self.at_once),
                    run_config=tune.RunConfig(
                        name="run",
                        storage_path=folder,
                        verbose=0,
                        callbacks=[self.watch],
                        failure_config=tune.FailureConfig(max_failures=PATIENCE + self.settings.retries),
                        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    ),
                ).fit()
        except _Left:
            return
        except Exception as error:
            self.trouble = f"no worker could run it: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


class _Left(BaseException):
    """The run was closed: Tune, which tolerates every Exception, must stop."""


class _Watch(tune.Callback):
    """Report processes that Tune finds dead to the ledger, and the end of the run to Tune."""

    def __init__(self, ledger: Any) -> None:
        self.ledger, self.left = ledger, False

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.left:
            raise _Left

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.ledger.died.remote(trial.config["index"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lines = str(trial.get_error() or "").strip().splitlines()
        said = f": {lines[-1][:300]}" if lines else ""
        self.ledger.refuse.remote(trial.config["index"], f"no worker could run it{said}")


def load_plugins(files: Sequence[tuple[Path, bytes]]) -> None:
    """Load plugin files, from copies if this node does not see those of the driver."""
    from bench.plugins.files import load_file

    for path, content in files:
        try:
            same = path.read_bytes() == content
        except OSError:
            same = False
        if not same:
            folder = Path(tempfile.mkdtemp(dir=copies()))
            path = folder / path.name
            path.write_bytes(content)
        load_file(path)
