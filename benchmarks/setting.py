"""Time `bench run` on one setting: every method, seed and budget on one bank, from fit to stored records.

    python benchmarks/setting.py --data-dir DIR [--seeds 10] [--dataset cifar100lt] [--backbone efficientnet_lite0]
                                 [--methods all] [--bench PATH]…

Builds the bank first if it is missing; this time is not counted. Prints CPU and wall seconds of the run, per operating
point, and of each method. `--bench` names the `bench` command of another checkout; given several times, the commands
run one after the other with the same options, which compares versions. With `--jobs` above 1 the trials run in Ray's
processes, whose CPU seconds are not counted: compare the sums per method instead.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--dataset", default="cifar100lt")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bench", action="append", help="a bench command (default: that of this Python environment)")
    args = parser.parse_args()
    commands = args.bench or [str(Path(sys.executable).with_name("bench"))]
    found = [measured(command, args) for command in commands]
    for command, facts in zip(commands, found, strict=True):
        print(f"\n{command}")
        print(f"  {facts['points']} points, {facts['cpu']:,.0f} CPU s, {facts['wall']:,.0f} s wall; ", end="")
        print(f"{facts['cpu'] / facts['points']:.3f} CPU s per point; store {facts['megabytes']:,.0f} MB")
        for method, times in sorted(facts["methods"].items(), key=lambda item: -sum(item[1].values())):
            told = ", ".join(f"{name.removesuffix('_seconds')} {value:.1f}" for name, value in times.items())
            print(f"  {method:<24}{sum(times.values()):8.1f} s: {told}")
    if len(found) > 1:
        print("\nCPU seconds relative to the last command:")
        for command, facts in zip(commands[:-1], found[:-1], strict=True):
            print(f"  {command}: {facts['cpu'] / found[-1]['cpu']:.2f} times")


def measured(command: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one setting in its own store; return its points, times and size."""
    where = ["--dataset", args.dataset, "--backbone", args.backbone]
    where += ["--data-dir", str(args.data_dir)] if args.data_dir else []
    subprocess.run([command, "bank", "build", *where], check=True)
    store = Path(tempfile.mkdtemp(prefix="setting-"))
    try:
        seeds = ",".join(map(str, range(args.seeds)))
        options = [
            "--methods",
            args.methods,
            "--seeds",
            seeds,
            "--threads",
            "1",
            "-j",
            str(args.jobs),
            "-o",
            str(store),
        ]
        told = subprocess.run([command, "run", "--help"], capture_output=True, text=True, check=True).stdout
        options += ["--no-report"] if "--no-report" in told else ["--reports", str(store / "report")]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([command, "run", *where, *options], check=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"cpu": cpu, "wall": wall, **read(store)}
    finally:
        shutil.rmtree(store, ignore_errors=True)


def read(store: Path) -> dict[str, Any]:
    """Return the number of points, timings summed by method (a fit counts once per seed), and the store's MB."""
    methods: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    fits: dict[tuple[str, int], float] = {}
    points = 0
    for path in store.rglob("*.json"):
        record = json.loads(path.read_text())
        if "point" not in record:
            continue
        points += 1
        label = record["point"]["label"]
        for name, seconds in record["timings"].items():
            if name == "fit_seconds":
                fits[label, record["point"]["seed"]] = seconds
            else:
                methods[label][name] += seconds
    for (label, _), seconds in fits.items():
        methods[label]["fit_seconds"] += seconds
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return {"points": points, "methods": methods, "megabytes": size / 1e6}


if __name__ == "__main__":
    main()
