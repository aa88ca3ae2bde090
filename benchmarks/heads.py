"""Print the training time and the accuracy of each head recipe on a synthetic bank of CLIP's shape.

    python benchmarks/heads.py [RECIPE …] [--samples 9754] [--exits 12] [--dims 768] [--classes 100] [--threads 1]

Times are wall-clock and processor seconds (all threads); other load affects the latter less. Accuracies are those on
val, at the first intermediate exit, the middle one and the last.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from bench import heads
from bench.method import ExitData, Task

RECIPES = ("plain", "plain[width=128]", "distilled", "boosted", "l2w", "ztw", "calibrated[base=plain[epochs=0]]")


def main() -> None:
    """Train every recipe once and print a line for each."""
    options = arguments()
    torch.set_num_threads(options.threads)
    task = made_up(options)
    print(
        f"{options.samples:,} × {options.exits - 1} exits × {options.dims} features, {options.classes} classes, "
        f"{options.threads} thread(s)"
    )
    for recipe in options.recipes or RECIPES:
        wall, cpu = time.perf_counter(), time.process_time()
        fitted = heads.fit(recipe, task)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        right = (fitted.logits(task.val).argmax(-1) == task.val.labels[:, None]).double().mean(0)
        shown = " ".join(f"{float(right[k]):.3f}" for k in (0, (options.exits - 2) // 2, options.exits - 2))
        print(f"{recipe:34} {wall:7.1f} s wall {cpu:7.1f} s processor   accuracy {shown}", flush=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def made_up(options: argparse.Namespace) -> Task:
    """Return a synthetic task whose classes are easier to separate at deeper exits."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(options.classes, options.dims, generator=generator)
    parts = {}
    for name, count in (("train", options.samples), ("val", options.val)):
        labels = torch.randint(options.classes, (count,), generator=generator)
        hard = 0.5 + 1.5 * torch.rand(count, 1, generator=generator)
        seen = [
            (0.08 + 0.22 * k / options.exits) * means[labels]
            + hard * torch.randn(count, options.dims, generator=generator)
            for k in range(options.exits)
        ]
        parts[name] = ExitData(tuple(seen[:-1]), 0.15 * seen[-1] @ means.T, labels)
    macs = tuple(10**9 * (k + 1) for k in range(options.exits))
    return Task(**parts, macs=macs, num_classes=options.classes, seed=0, device=torch.device("cpu"))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE")
    parser.add_argument("--samples", type=int, default=9754)
    parser.add_argument("--val", type=int, default=2500)
    parser.add_argument("--exits", type=int, default=12, help="the backbone's own head included")
    parser.add_argument("--dims", type=int, default=768)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
