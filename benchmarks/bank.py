"""Compare the speed of a bank build with that of the bare frozen forward pass, at the same batch size and device.

    python benchmarks/bank.py [--dataset mnist5k] [--backbone efficientnet_lite0] [--image-size 96] [--limit 640]

The bare pass runs the backbone over prepared batches in memory: no reading, resizing, checking or writing. The two
alternate, and so does which of them runs first, so other load on the machine affects both equally. The time of a build
includes reading, forward passes, writing, checksums and rename, but not the probe, which does not depend on throughput.
Two ratios of processor times (all threads) are printed too, because other load affects them less: that of the bare pass
to the build and, with one thread on a CPU, the share of a build's processor time that its forward passes take.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bench import backbones, datasets, protocol
from bench.bank import build as building
from bench.bank import probe
from bench.bank.build import build
from bench.bank.compute import features, laid_out, ready
from bench.bank.plan import PRECISIONS, Plan
from bench.bank.stream import Job, read
from bench.system.memory import reuse_freed_memory


def main() -> None:
    """Measure builds and bare forward passes, and print their ratios."""
    options = arguments()
    torch.set_num_threads(options.threads)
    dataset = datasets.load(options.dataset, data_dir=options.data_dir)
    backbone = backbones.load(options.backbone, num_classes=dataset.num_classes, image_size=options.image_size)
    splits = protocol.split(dataset, limit=options.limit)
    plan = Plan(dataset, backbone, splits, precision=options.precision, channels_last=options.channels_last)
    count, device = plan.images, torch.device(options.device)
    kept = memory_kept(plan, options.batch_size, device)
    measured = compare(plan, options.batch_size, device, options.rounds)
    rounds, work, shares = measured["wall"], measured["processor"], measured["share"]
    print(
        f"{dataset.name} through {backbone.name} at {backbone.image_size} px, {count} images, "
        f"batch {options.batch_size}, {device}, {options.threads} thread(s):\n"
        f"a build runs at {statistics.median(rounds):.1%} of the bare forward pass "
        f"(median of {len(rounds)} rounds, {min(rounds):.1%} to {max(rounds):.1%}); "
        f"by processor time {statistics.median(work):.1%}"
    )
    print(f"a forward pass that reuses freed memory takes {kept:.1%} of the processor time of one that does not")
    if device.type == "cpu" and options.threads == 1:
        print(f"forward passes take {statistics.median(shares):.1%} of a build's processor time")


def memory_kept(plan: Plan, batch_size: int, device: torch.device) -> float:
    """Return the processor time of a bare forward pass that reuses freed memory, as a share of one that does not."""
    batches = prepared(plan, batch_size, device)
    with ready(plan, device):
        forward_pass(plan, batches[:2])
        _, before = forward_pass(plan, batches)
        reuse_freed_memory()
        forward_pass(plan, batches[:2])
        _, after = forward_pass(plan, batches)
    return after / before


def compare(plan: Plan, batch_size: int, device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Return per round the ratio of bare pass to build by both clocks, the forward passes' share, and images/s."""
    found: dict[str, list[float]] = {name: [] for name in ("wall", "processor", "share", "bare", "built")}
    batches = prepared(plan, batch_size, device)
    with ready(plan, device):
        forward_pass(plan, batches[:2])
    for i in range(rounds):
        for side in ("bare", "built") if i % 2 == 0 else ("built", "bare"):
            if side == "bare":
                with ready(plan, device):
                    bare, bare_cpu = forward_pass(plan, batches)
            else:
                built, built_cpu, inside = whole_build(plan, batch_size, device)
        values = (bare / built, bare_cpu / built_cpu, inside / built_cpu, plan.images / bare, plan.images / built)
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
        print(f"round {i + 1}: forward {values[3]:,.1f} images/s, build {values[4]:,.1f} images/s", flush=True)
    return found


def prepared(plan: Plan, batch_size: int, device: torch.device) -> list[torch.Tensor]:
    """Return the batches of a build, on the device."""
    batches = []
    for split, rows in plan.rows.items():
        order = rows.argsort()
        jobs = [Job(split, order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
        batches += [laid_out(plan, read(plan, job, device).view(plan, 0, device)) for job in jobs]
    return batches


def clocks() -> tuple[float, float]:
    """Return wall-clock time and processor time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """Return the seconds by which both clocks have advanced since `start`."""
    wall, cpu = clocks()
    return wall - start[0], cpu - start[1]


def forward_pass(plan: Plan, batches: list[torch.Tensor]) -> tuple[float, float]:
    """Return the seconds of the bare forward pass, by both clocks."""
    start = clocks()
    with torch.inference_mode():
        for batch in batches:
            found = features(plan, batch)
    if found[-1].is_cuda:
        torch.cuda.synchronize()
    return since(start)


def whole_build(plan: Plan, batch_size: int, device: torch.device) -> tuple[float, float, float]:
    """Return the seconds of a build into a fresh folder by both clocks, and the CPU seconds of its forward passes."""
    classes, width = plan.dataset.num_classes, plan.dims[-1]
    nothing = (torch.zeros(len(probe.GRID), classes, width), torch.zeros(len(probe.GRID), classes))
    inside = 0.0

    def timed(*given: Any) -> list[torch.Tensor]:
        nonlocal inside
        start = time.thread_time()
        found = features(*given)
        inside += time.thread_time() - start
        return found

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(probe, "fit", lambda *_, **__: nothing),
        patch.object(building, "features", timed),
    ):
        start = clocks()
        build(plan, Path(folder), batch_size=batch_size, device=device)
        return *since(start), inside


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="mnist5k")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, default=640, help="images per split")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
