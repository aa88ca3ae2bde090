"""The Ray executor: Ray Tune hands trials to reused workers on local cores and GPUs, or on a cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.bank.bank import Bank
from bench.errors import UserError
from bench.executors.inbox import Inbox
from bench.executors.parcel import Parcel, pack, unpack
from bench.executors.worker import Settings, Worker, no_results
from bench.trials.plan import Trial
from bench.trials.run import Result

# Set before ray is imported: it reads them then. No telemetry, no change of directory, no loggers of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune

POLL = 0.05  # seconds between two looks into the inbox
PATIENCE = 20  # failures of one trial that Tune itself bears with; when it is lost, the inbox decides before that


@dataclass(frozen=True)
class Fleet:
    """What a run may use: a cluster's address or this machine, and what each trial takes of it."""

    address: str | None = None  # None: this machine; else auto, HOST:PORT or ray://HOST:PORT
    jobs: int | None = None  # trials at once; None: as many as fit
    gpus_per_trial: float = 0.0


@dataclass(frozen=True)
class Job:
    """One trial as it travels. The trial is pickled by itself: its plugins must be loaded before it is read."""

    parcel: Parcel
    trial: bytes
    plugins: tuple[str, ...]


class TrialWorker(tune.Trainable):
    """A Ray Tune trainable that is a Worker: one `step` is one whole trial; the actor is reused for the next."""

    def setup(self, config: dict[str, Any], jobs: list[Job], settings: Settings, inbox: Any) -> None:
        """Keep what all trials of this actor share."""
        self.jobs, self.inbox, self.index = jobs, inbox, config["index"]
        self.worker = Worker(settings, expendable=True)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on the next trial."""
        self.index = new_config["index"]
        return True

    def step(self) -> dict[str, Any]:
        """Do the trial, unless the inbox knows better, and hand its results in."""
        node = ray.get_runtime_context().get_node_id()
        if ray.get(self.inbox.begin.remote(self.index, node)):
            ray.get(self.inbox.finish.remote(self.index, self._results(self.jobs[self.index])))
        return {"done": True}

    def _results(self, job: Job) -> list[Result] | str:
        try:
            from bench import plugins

            for path in job.plugins:
                plugins.load_file(path)
            trial = pickle.loads(job.trial)
            bank = unpack(job.parcel, ray.get)
        except Exception as error:
            return f"a worker could not open it: {type(error).__name__}: {error}"
        return self.worker.run(bank, trial)


def run(
    trials: Sequence[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None] = lambda trial: None,
    *,
    fleet: Fleet | None = None,
    plugins: Sequence[str] = (),
) -> Iterator[tuple[Trial, list[Result]]]:
    """Yield each trial with its results as it ends, in no particular order.

    A process that dies is a failed attempt, a node that is lost is none: its trials move. Raises UserError where the
    cluster cannot be reached or has no room for a single trial.
    """
    if not trials:
        return
    fleet = fleet or Fleet()
    with _connected(fleet, settings, len(trials)):
        yield from _dispatch(trials, settings, started, fleet, plugins)


def _dispatch(
    trials: Sequence[tuple[Bank, Trial]],
    settings: Settings,
    started: Callable[[Trial], None],
    fleet: Fleet,
    plugins: Sequence[str],
) -> Iterator[tuple[Trial, list[Result]]]:
    need = {"CPU": float(settings.threads), "GPU": fleet.gpus_per_trial}
    _check_room(need)
    put = ray.put if len(_alive()) > 1 or ray.util.client.ray.is_connected() else None
    parcels = {bank.digest: pack(bank, put) for bank in {b.digest: b for b, _ in trials}.values()}
    jobs = [Job(parcels[bank.digest], pickle.dumps(trial), tuple(plugins)) for bank, trial in trials]
    inbox = ray.remote(num_cpus=0, max_restarts=0)(Inbox).remote(settings.retries, _alive)
    tuner = threading.Thread(target=_tune, args=(jobs, settings, inbox, need, fleet.jobs), daemon=True)
    tuner.start()
    open_ = dict(enumerate(trials))
    while open_:
        ended = not tuner.is_alive()
        for event in ray.get(inbox.take.remote()):
            bank, trial = trials[event.index]
            if event.kind == "started":
                started(trial)
            elif event.index in open_:
                del open_[event.index]
                yield trial, _results(event.payload, bank, trial, settings)
        if ended:
            break
        time.sleep(POLL)
    for bank, trial in open_.values():
        yield trial, no_results(trial, settings.provenance, bank.manifest.macs[-1], "failed", "no worker could run it")


def _results(payload: Any, bank: Bank, trial: Trial, settings: Settings) -> list[Result]:
    if isinstance(payload, list) and payload and not isinstance(payload[0], float):
        return payload
    full = bank.manifest.macs[-1]
    if isinstance(payload, str):
        return no_results(trial, settings.provenance, full, "failed", payload)
    limit = settings.timeout
    if limit is not None and all(seconds >= limit for seconds in payload):
        reason = f"no result within {limit:g} seconds, and its process had to be ended ({len(payload)} attempts)"
        return no_results(trial, settings.provenance, full, "timeout", reason)
    reason = f"its process died in {len(payload)} attempts (killed, out of memory, or crashed)"
    return no_results(trial, settings.provenance, full, "failed", reason)


def _tune(jobs: list[Job], settings: Settings, inbox: Any, need: dict[str, float], at_once: int | None) -> None:
    """Let Ray Tune run all jobs; what comes of them goes through the inbox."""
    shared = tune.with_parameters(TrialWorker, jobs=jobs, settings=settings, inbox=inbox)
    with tempfile.TemporaryDirectory(prefix="exitbench-ray-") as folder, contextlib.suppress(Exception):
        tune.Tuner(
            tune.with_resources(shared, {k: v for k, v in need.items() if v}),
            param_space={"index": tune.grid_search(list(range(len(jobs))))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=at_once),
            run_config=tune.RunConfig(
                name="run",
                storage_path=folder,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=PATIENCE),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


@contextlib.contextmanager
def _connected(fleet: Fleet, settings: Settings, trials: int) -> Iterator[None]:
    """Connect to the cluster, or start Ray on this machine without dashboard, and leave nothing running."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if fleet.address is None:
        jobs = min(fleet.jobs or max((os.cpu_count() or 1) // settings.threads, 1), trials)
        options |= {"num_cpus": jobs * settings.threads, "include_dashboard": False}
    else:
        options["address"] = fleet.address
    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"at '{fleet.address}'" if fleet.address else "on this machine"
        raise UserError(
            f"Ray could not be reached {where}: {' '.join(str(error).split())[:300]} "
            "Start it with `ray start --head`, or run with --executor serial."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _alive() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _check_room(need: dict[str, float]) -> None:
    rooms = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(room.get(k, 0) >= v for k, v in need.items()) for room in rooms):
        wanted = " and ".join(f"{v:g} {k}s" for k, v in need.items() if v)
        largest = {k: max((room.get(k, 0) for room in rooms), default=0) for k in need}
        raise UserError(
            f"No node of the cluster has {wanted} for one trial (the largest has {largest['CPU']:g} CPUs and "
            f"{largest['GPU']:g} GPUs). Lower --threads or --gpus-per-trial, or start larger nodes."
        )
