"""Measure the overhead of one more trial: 100 trivial trials, serial against Ray.

    python benchmarks/dispatch.py [--trials 100] [--jobs 1]

A trivial trial is a threshold method at a budget that no exit can meet: after heads are trained once, nothing is left
to compute. The marginal time of a trial is the time between the first and the last result, divided by the number of
trials between them; start-up time is printed separately.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.bank.bank import Bank
from bench.config import RunConfig
from bench.executors import serial
from bench.executors.worker import Settings
from bench.session import Session
from bench.trials.plan import Trial

LIMIT = 0.1  # seconds that Ray may add to a trial
Work = list[tuple[Bank, Trial]]


def trivial(count: int, folder: Path) -> Work:
    """Return the same trivial trial `count` times."""
    config = RunConfig(
        methods=("msdnet_thresh",),
        dataset=("digits",),
        backbone=("cifar_resnet20",),
        weights="random",
        image_size=16,
        exits="2,5",
        budgets=(0.001,),
        seeds=(0,),
        threads=1,
        bank_dir=folder / "banks",
        output=folder / "results",
    )
    session = Session(config)
    work = session.prepare(next(session.sources())).work
    return [next((bank, trial) for bank, trial in work if trial.method == "msdnet_thresh")] * count


def measure(name: str, work: Work, run: Callable[[Work], Iterable]) -> float:
    """Run the trials, print one line, and return the marginal seconds per trial."""
    start = time.perf_counter()
    stamps = [time.perf_counter() - start for _ in run(work)]
    total = time.perf_counter() - start
    marginal = (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    print(f"{name:>12}: first result after {stamps[0]:6.2f} s, then {marginal:.4f} s per trial, total {total:6.2f} s")
    return marginal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    settings = Settings("cpu", 1, {})
    with tempfile.TemporaryDirectory() as folder:
        work = trivial(options.trials, Path(folder))
        plain = measure("serial", work, lambda w: serial.run(w, settings))
        child = Settings("cpu", 1, {}, timeout=60.0)
        apart = measure("in a child", work, lambda w: serial.run(w, child))
        from bench.executors import ray

        cluster = ray.Cluster(jobs=options.jobs)
        rayed = measure(
            f"ray, {options.jobs} job{'s' * (options.jobs > 1)}", work, lambda w: ray.run(w, settings, cluster=cluster)
        )
    print(f"Marginal overhead per trial: {apart - plain:.4f} s in a child, {rayed - plain:.4f} s under Ray.")
    if rayed - plain > LIMIT:
        raise SystemExit(f"Ray adds more than {LIMIT} s to a trial.")


if __name__ == "__main__":
    main()
