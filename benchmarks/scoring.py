"""Print the time to score one operating point, by family of scores, and the size of its stored outcomes.

    OMP_NUM_THREADS=1 python benchmarks/scoring.py [--test 10000] [--cal 2500] [--classes 100] [--exits 12]

Times are CPU seconds, the best of five calls, so they do not include the time of other programs.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import numpy as np
import torch

from bench.inference import Outcomes
from bench.metrics.families import FAMILIES
from bench.metrics.samples import Measured, measure
from bench.metrics.score import score
from bench.metrics.stored import from_arrays, to_arrays


def drawn(n: int, exits: int, classes: int, seed: int) -> Outcomes:
    """Return random outcomes whose later exits are better."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    stack = 1.5 * torch.randn(n, exits, classes, generator=g)
    stack[torch.arange(n), :, labels] += torch.linspace(1.0, 6.0, exits)
    index = torch.randint(exits, (n,), generator=g)
    return Outcomes(index, stack[torch.arange(n), index], labels, index, stack)


def seconds(make: Callable[[], object], repeats: int = 5) -> float:
    """Return the least CPU time of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        make()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("test", 10_000), ("cal", 2500), ("classes", 100), ("exits", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cal, test = (drawn(n, args.exits, args.classes, seed) for seed, n in enumerate((args.cal, args.test)))
    counts = np.geomspace(500, 5, args.classes).astype(int)

    def gather() -> Measured:
        macs = [100 * (k + 1) for k in range(args.exits)]
        return measure(cal, test, exit_macs=macs, full_macs=100 * args.exits, train_counts=counts)

    point = gather()
    rows = [("gathering", seconds(gather)), *((f.title, seconds(lambda f=f: f.make(point))) for f in FAMILIES)]
    for title, took in sorted(rows, key=lambda row: -row[1])[:15]:
        print(f"{took:8.3f} s  {title}")
    print(f"{seconds(lambda: score(gather())):8.3f} s  all scores")
    file = io.BytesIO()
    print(f"{seconds(lambda: np.savez_compressed(io.BytesIO(), **to_arrays(point)), 2):8.3f} s  storing outcomes")
    np.savez_compressed(file, **to_arrays(point))
    again = from_arrays(np.load(io.BytesIO(file.getvalue())), point.full_macs, point.num_exits)
    print(f"{seconds(lambda: score(again)):8.3f} s  scoring stored outcomes")
    print(f"{len(file.getvalue()) / 1e6:8.2f} MB stored outcomes, compressed")


if __name__ == "__main__":
    main()
