"""The cluster of a run: connect to one or start Ray on this machine, and count how many trials fit."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.executors.folder import WORK, swept
from bench.executors.worker import Settings
from bench.system.cpus import cpu_count

# Set before the import of ray, which reads them. No telemetry, no change of directory, no loggers and no progress
# output of its own, no state saved for its own resume, no second Ray started implicitly.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_INIT": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402

ATTEMPTS = 3  # to reach a cluster through Ray's client
LOST = "Starting Ray client server failed"
KNOCK = 5.0  # seconds for a machine of the cluster to accept a connection
LOGGERS = ("ray", "ray.tune", "ray.train", "ray.data", "ray.air")


@dataclass(frozen=True)
class Cluster:
    """The resources of a run: a cluster's address or this machine, and what each trial takes of them."""

    address: str | None = None  # None: this machine; else auto, HOST:PORT or ray://HOST:PORT
    jobs: int | None = None  # trials at once; None: as many as fit
    gpus_per_trial: float = 0.0


def need(cluster: Cluster, settings: Settings) -> dict[str, float]:
    """Return the resources that one trial takes; by default, a trial on CUDA takes a whole GPU.

    Raises UserError for a share of GPUs above 1 that is not a whole number.
    """
    gpus = cluster.gpus_per_trial or (1.0 if settings.device.startswith("cuda") else 0.0)
    if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
        raise UserError(f"A trial cannot take {gpus:g} GPUs. Valid: a share up to 1, such as 0.25, or a whole number.")
    return {"CPU": float(settings.threads), **({"GPU": gpus} if gpus else {})}


@contextlib.contextmanager
def connected(cluster: Cluster, settings: Settings, most: int) -> Iterator[Path | None]:
    """Connect to the cluster, or start Ray here for at most `most` trials at once; at the end stop what was started.

    Yields the folder of a Ray that was started here, else None; the folder is removed even if this process is killed. A
    process that is already connected stays connected. Raises UserError if Ray cannot be reached or started.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield None
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if cluster.address is None:
        jobs = min(cluster.jobs or max(cpu_count() // settings.threads, 1), max(most, 1))
        options |= {"address": "local", "num_cpus": jobs * settings.threads, "include_dashboard": False}
    else:
        options["address"] = cluster.address
    with _quiet(), swept() if cluster.address is None else contextlib.nullcontext() as folder:
        if folder is not None:
            options["_temp_dir"] = str(folder)
        try:
            _knock(cluster.address)
            _show_token(cluster.address)
            with warnings.catch_warnings(action="ignore"), _within(folder / WORK if folder else Path("/")):
                _start(options)
        except Exception as error:
            raise _unreachable(cluster, error) from None
        try:
            yield folder
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    """Start Ray in another folder: in this one, its workers would import files that have the name of a module."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep logs of nodes that died off the terminal; Ray prints them in spite of its options."""
    from ray._private import worker

    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *args, **options: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def _start(options: dict[str, Any]) -> None:
    """Call ray.init; retry it if the process that the head forks for a client died (gRPC's threads can kill it)."""
    for left in reversed(range(ATTEMPTS)):
        try:
            ray.init(**options)
        except ConnectionError as error:
            if not left or LOST not in str(error):
                raise
        else:
            return


def _knock(address: str | None) -> None:
    """Raise OSError if nothing answers at HOST:PORT; Ray itself would try for minutes and fill the terminal."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


def _show_token(address: str | None) -> None:
    """Let Ray's client use this user's token if there is one, as Ray's other ways to connect do by default."""
    if (address or "").startswith("ray://"):
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _unreachable(cluster: Cluster, error: Exception) -> UserError:
    said = " ".join(str(error).split())[:300].rstrip(".")
    if cluster.address is None:
        return UserError(f"Ray could not be started on this machine: {said}. Run with --executor serial.")
    return UserError(
        f"No Ray cluster could be reached at '{cluster.address}': {said}. Valid: auto (on a machine of the cluster), "
        "HOST:PORT, or ray://HOST:PORT. Start a head with `ray start --head`, or leave --ray-address out."
    )


def alive(nodes: set[str]) -> set[str]:
    """Return the ids of the nodes that are alive.

    A node is alive while its raylet accepts connections; the cluster may take half a minute to notice that one is gone.
    """
    return {node["NodeID"] for node in ray.nodes() if node["NodeID"] in nodes and node["Alive"] and _answers(node)}


def _answers(node: dict[str, Any]) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), timeout=KNOCK).close()
        return True
    return False


def slots(needed: dict[str, float], at_once: int | None = None) -> int:
    """Return how many trials the cluster can run at once now; raise UserError if no node has room for one."""
    rooms = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(min(int(room.get(k, 0) / v + 1e-9) for k, v in needed.items()) for room in rooms)
    if count == 0:
        wanted = " and ".join(f"{v:g} {k}{'' if v == 1 else 's'}" for k, v in needed.items())
        largest = {k: max((room.get(k, 0) for room in rooms), default=0) for k in ("CPU", "GPU")}
        raise UserError(
            f"No machine has {wanted} for one trial (the largest has {largest['CPU']:g} CPUs and {largest['GPU']:g} "
            "GPUs). Lower --threads or --gpus-per-trial, or add a larger machine."
        )
    return min(count, at_once) if at_once else count
