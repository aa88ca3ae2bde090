"""Run 60 trials on a cluster of three nodes while workers, a node and the driver are killed.

    python benchmarks/chaos.py [--seed 0]

The cluster's nodes all run on this machine. After fixed numbers of finished trials a random worker is killed (six
times), one node (once) and the driver (once; it is then started again). In the end every trial must be stored exactly
once and be byte-identical to that of a serial run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.executors.worker import Settings
from bench.session import Session
from bench.trials.plan import Trial
from bench.trials.store import Store

SECONDS = 1.0  # pause of a trial on the cluster, so that there is time to interrupt it
WORKERS, NODE, DRIVER = (4, 10, 16, 32, 42, 50), 22, 36  # finished trials after which each is killed
LIMIT = 330.0  # seconds within which all trials must finish
PLUGIN = '''
import os, time
from dataclasses import dataclass
from bench.method import Method
from bench.methods.msdnet_thresh import MSDNetThreshold

@dataclass(frozen=True)
class Config:
    variant: int = 0

class Slow(Method):
    """MSDNet's thresholds, after a pause."""
    name = "slow"
    Config = Config

    def fit(self, task, budgets):
        time.sleep(float(os.environ.get("CHAOS_SECONDS", "0")))
        return MSDNetThreshold().fit(task, budgets)
'''


def session(folder: Path, output: str) -> Session:
    """Configure 60 trials: 12 seeds of four methods and the references."""
    plugin = folder / "slow.py"
    if not plugin.exists():
        plugin.write_text(PLUGIN)
    return Session(
        RunConfig(
            plugin=(plugin,),
            methods=tuple(f"slow[variant={i}]" for i in range(4)),
            dataset=("digits",),
            backbone=("cifar_resnet20",),
            weights="random",
            image_size=16,
            exits="2,5",
            budgets=(0.5, 0.9),
            seeds=tuple(range(12)),
            threads=1,
            bank_dir=folder / "banks",
            output=folder / output,
        )
    )


def planned(made: Session) -> list[tuple[Bank, Trial]]:
    """Return the trials that are not stored yet."""
    return made.prepare(next(made.sources())).work


def drive(address: str, folder: Path) -> None:
    """Run and store the missing trials, as the driver, and log the records of each stored trial."""
    from bench.executors.ray import Cluster, run

    made = session(folder, "chaos")
    settings = Settings("cpu", 1, {}, retries=3)
    with (folder / "stored.txt").open("a") as log:
        for _, results in run(planned(made), settings, cluster=Cluster(address), plugins=made.config.plugin):
            for record, samples in results:
                made.store.write(record, samples)
            print(*(record.id for record, _ in results), file=log, flush=True)


def outcomes(folder: Path) -> dict[str, str]:
    """Return the fields of each record in a results folder that must equal the serial run's, by the record's id."""
    keep = {"status", "metrics", "val", "per_exit", "cell", "point"}
    return {record.id: record.model_dump_json(include=keep) for record in Store(folder).records()}


class Chaos:
    """Starts a cluster and the driver, and kills workers, a node and the driver."""

    def __init__(self, folder: Path, seed: int) -> None:
        from ray.cluster_utils import Cluster

        self.folder, self.random, self.start = folder, random.Random(seed), time.monotonic()
        node = {"num_cpus": 1, "object_store_memory": 100 << 20}
        self.cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(**node) for _ in range(2)]
        self.driver = self.begin()

    def begin(self) -> subprocess.Popen:
        command = [sys.executable, __file__, "--drive", self.cluster.address, str(self.folder)]
        return subprocess.Popen(command)

    def done(self) -> int:
        stored = self.folder / "stored.txt"
        return len(stored.read_text().splitlines()) if stored.exists() else 0

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.start:6.1f} s, {self.done():2} trials done: {what}", flush=True)

    def kill_worker(self) -> None:
        """Kill a random process that runs trials."""
        raylets = {node.all_processes["raylet"][0].process.pid for node in self.cluster.list_all_nodes()}
        while not (pids := [pid for pid in _pids() if _parent(pid) in raylets and _is_worker(pid)]):
            time.sleep(0.2)
        victim = self.random.choice(pids)
        os.kill(victim, signal.SIGKILL)
        self.say(f"killed worker {victim} (of {len(pids)})")

    def kill_node(self) -> None:
        """Kill all processes of a random node."""
        node = self.nodes.pop(self.random.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)
        self.say(f"killed a node, {1 + len(self.nodes)} are left")

    def kill_driver(self) -> None:
        """Kill the driver, and start it again as a user would."""
        self.driver.kill()
        self.driver.wait()
        self.say("killed the driver, and started it again")
        self.driver = self.begin()

    def run(self) -> None:
        plan = sorted([*((n, self.kill_worker) for n in WORKERS), (NODE, self.kill_node), (DRIVER, self.kill_driver)],
                      key=lambda item: item[0])  # fmt: skip
        for count, kill in plan:
            self.wait(lambda count=count: self.done() >= count)
            time.sleep(self.random.random() * SECONDS)
            kill()
        self.wait(lambda: self.driver.poll() is not None)
        self.say(f"the driver ended with exit code {self.driver.returncode}")

    def wait(self, reached) -> None:
        while not reached():
            if time.monotonic() - self.start > LIMIT:
                raise SystemExit(f"Only {self.done()} trials finished within {LIMIT:g} seconds.")
            if self.driver.poll() is not None and not reached():
                raise SystemExit(f"The driver ended early, with exit code {self.driver.returncode}.")
            time.sleep(0.1)

    def close(self) -> None:
        self.driver.kill()
        self.cluster.shutdown()


def _pids() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _is_worker(pid: int) -> bool:
    try:
        return b"Trainable" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(options.drive[0], Path(options.drive[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(folder, options.seed)


def compare(folder: Path, seed: int) -> None:
    """Run the trials serially and with faults; raise SystemExit if the records differ."""
    from bench.executors import serial

    start = time.monotonic()
    made = session(folder, "serial")
    work = planned(made)
    for _, results in serial.run(work, Settings("cpu", 1, {})):
        for record, samples in results:
            made.store.write(record, samples)
    print(f"Serial: {len(work)} trials in {time.monotonic() - start:.1f} s. Now three nodes, with faults:", flush=True)
    os.environ["CHAOS_SECONDS"] = str(SECONDS)
    chaos = Chaos(folder, seed)
    try:
        chaos.run()
    finally:
        chaos.close()
    expected, found = outcomes(folder / "serial"), outcomes(folder / "chaos")
    stored = (folder / "stored.txt").read_text().split()
    twice = len(stored) - len(set(stored))
    same = sum(found.get(key) == value for key, value in expected.items())
    print(f"Operating points of the {len(work)} trials: {len(expected)}; stored: {len(found)}, {twice} of them twice.")
    print(f"Identical to the serial run's: {same}. Total time: {time.monotonic() - start:.0f} s.")
    if found != expected or twice:
        raise SystemExit(
            f"FAILED: {len(expected.keys() - found)} operating points are missing, {len(found) - same} differ."
        )


if __name__ == "__main__":
    main()
