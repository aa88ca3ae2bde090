"""The Ray executor on a cluster of several nodes, which all run on this machine."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster as RayCluster

from bench.executors import ray as module
from bench.executors import serial
from bench.executors.bank_ref import BankRef, copies
from bench.executors.cluster import Cluster, ray
from bench.executors.ray import run
from tests.helpers.processes import family, survivors
from tests.helpers.trials import FAULTY, by_title

pytestmark = [pytest.mark.ray, pytest.mark.slow]
STORE = 100 << 20  # bytes of each node's object store
CLIENT = 20017  # port of the head's server for Ray's client; workers take ports below


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A head and one worker, one slot each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")  # the head forks a process for every client; see docs/cluster.md
        yield from _cluster()


def _cluster() -> Iterator[RayCluster]:
    made = RayCluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "ray_client_server_port": CLIENT,
        },
    )
    made.add_node(num_cpus=1, object_store_memory=STORE)
    yield made
    with contextlib.suppress(Exception):
        made.shutdown()


def _raylet(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def _parents(folder) -> set[int]:
    return {int(p.read_text().split()[1]) for p in folder.glob("fine-*")}


def test_nodes_that_come_and_go_lose_no_trial_and_change_no_number(cluster, work, settings, tmp_path, capfd):
    """No trial ends before one has begun on a node that was added, and that node was killed."""
    hold = tmp_path / "hold"
    hold.touch()
    killed: list[int] = []

    def kill(node) -> None:
        limit = time.monotonic() + 120
        while _raylet(node) not in _parents(tmp_path) and time.monotonic() < limit:
            time.sleep(0.1)
        killed.append(_raylet(node))
        workers = family(_raylet(node))
        cluster.remove_node(node, allow_graceful=False)
        survivors({pid: command for pid, command in workers.items() if "Trainable" in command})
        hold.unlink()

    def started(trial) -> None:
        if not threads:
            node = cluster.add_node(num_cpus=1, object_store_memory=STORE)
            threads.append(threading.Thread(target=kill, args=(node,)))
            threads[0].start()

    threads: list[threading.Thread] = []
    trials = work(f"fine[mark={tmp_path}]", seeds=tuple(range(5)), budgets=(0.5,))
    found = by_title(run(trials, settings(retries=0), started, cluster=Cluster(cluster.address), plugins=[FAULTY]))
    threads[0].join()
    assert {outcomes[0][1] for outcomes in found.values()} == {"ok"}
    assert set(killed) < _parents(tmp_path), "the node that was added did no trial"
    assert len(list(tmp_path.glob("fine-*"))) == len(trials) + 1  # the one that was lost with its node, once more
    assert found == by_title(serial.run(trials, settings()))
    assert "aylet" not in "".join(capfd.readouterr())


def test_a_driver_outside_the_cluster_reaches_it_through_rays_client(cluster, driver):
    process = driver(2, f"'ray://127.0.0.1:{CLIENT}'")
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, ""), out
    assert sorted(out.splitlines()) == [f"done {s} ok" for s in range(2)]


def test_what_no_worker_sees_travels_once_and_the_cluster_is_left_as_it_was(
    cluster, work, settings, bank, monkeypatch, tmp_path
):
    copy = copies() / f"{bank.path.name}-{bank.digest[:16]}"
    shutil.rmtree(copy, ignore_errors=True)
    sent = []
    send = module._Dispatch._send
    monkeypatch.setattr(module._Dispatch, "_send", lambda self, digest: (sent.append(digest), send(self, digest)))
    monkeypatch.setattr(module, "reference", lambda bank: BankRef(tmp_path / "elsewhere" / bank.path.name, bank.digest))
    trials = work("msdnet_thresh", f"fine[mark={tmp_path}]", seeds=(0, 1), references=True)
    seen = tmp_path / "plugin.py"
    seen.write_bytes(FAULTY.read_bytes())
    running = run(trials, settings(), cluster=Cluster(cluster.address), plugins=[seen])
    first = next(running)
    found = by_title([first, *running])
    assert found == by_title(serial.run(trials, settings()))
    assert sent == [bank.digest]
    assert sorted(p.name for p in copy.iterdir()) == sorted(p.name for p in bank.path.iterdir())
    shutil.rmtree(copy)
    left_as_it_was(cluster)


def left_as_it_was(cluster) -> None:
    """Nobody is connected any more, and all slots of both nodes are free."""
    assert not ray.is_initialized()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="CRITICAL")
    try:
        assert ray.cluster_resources()["CPU"] == 2
        limit = time.monotonic() + 60  # a head hears of the slots that others gave back a moment later
        while ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < limit:
            time.sleep(0.1)
        assert ray.available_resources()["CPU"] == 2
    finally:
        ray.shutdown()
