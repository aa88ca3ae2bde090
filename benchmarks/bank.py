"""Print how fast a bank is built, as a fraction of the bare frozen forward pass at the same batch size and device.

    python benchmarks/bank.py [--dataset mnist5k] [--backbone efficientnet_lite0] [--image-size 96] [--limit 640]

The bare pass runs the backbone over prepared batches in memory: no reading, resizing, checking or writing. The two
take turns, the first of each round alternating, so that whatever else the machine does hits both alike. A build is
timed whole: reading, forward, writing, checksums, rename; without the probe, which is no matter of throughput.
The ratio of processor times (all threads) is printed too: it stays steady where other work shares the cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch

from bench import backbones, datasets, protocol
from bench.bank import probe
from bench.bank.build import build
from bench.bank.plan import Plan
from bench.bank.stream import Job, read


def main() -> None:
    """Measure and print."""
    options = arguments()
    torch.set_num_threads(options.threads)
    dataset = datasets.load(options.dataset, data_dir=options.data_dir)
    backbone = backbones.load(options.backbone, num_classes=dataset.num_classes, image_size=options.image_size)
    splits = protocol.split(dataset, limit=options.limit)
    plan = Plan(dataset, backbone, splits)
    count = sum(map(len, plan.rows.values()))
    device = torch.device(options.device)
    backbone.to(device)
    batches = prepared(plan, options.batch_size, device)
    forward_pass(backbone, batches[:2])
    rounds, work = [], []
    for i in range(options.rounds):
        sides = [lambda: forward_pass(backbone, batches), lambda: whole_build(plan, options.batch_size, device)]
        times = [side() for side in (sides if i % 2 == 0 else sides[::-1])]
        (bare, bare_cpu), (built, built_cpu) = times if i % 2 == 0 else times[::-1]
        rounds.append(bare / built)
        work.append(bare_cpu / built_cpu)
        print(f"round {i + 1}: forward {count / bare:,.1f} images/s, build {count / built:,.1f} images/s", flush=True)
    print(
        f"{dataset.name} through {backbone.name} at {backbone.image_size} px, {count} images, "
        f"batch {options.batch_size}, {device}, {options.threads} thread(s):\n"
        f"a build runs at {statistics.median(rounds):.1%} of the bare forward pass "
        f"(median of {len(rounds)} rounds, {min(rounds):.1%} to {max(rounds):.1%}); "
        f"by processor time {statistics.median(work):.1%}"
    )


def prepared(plan: Plan, batch_size: int, device: torch.device) -> list[torch.Tensor]:
    """The same batches as a build's, ready on the device."""
    batches = []
    for split, rows in plan.rows.items():
        order = rows.argsort()
        jobs = [Job(split, order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
        batches += [read(plan, job, device).view(plan, 0, device) for job in jobs]
    return batches


def clocks() -> tuple[float, float]:
    """Wall clock and processor time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """What both clocks have advanced."""
    wall, cpu = clocks()
    return wall - start[0], cpu - start[1]


def forward_pass(backbone: torch.nn.Module, batches: list[torch.Tensor]) -> tuple[float, float]:
    """Seconds of the bare forward pass, by both clocks."""
    start = clocks()
    with torch.inference_mode():
        for batch in batches:
            features = backbone.features(batch)
    if features[-1].is_cuda:
        torch.cuda.synchronize()
    return since(start)


def whole_build(plan: Plan, batch_size: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a build into a fresh folder, by both clocks."""
    classes, width = plan.dataset.num_classes, plan.dims[-1]
    nothing = (torch.zeros(len(probe.GRID), classes, width), torch.zeros(len(probe.GRID), classes))
    with tempfile.TemporaryDirectory() as folder, patch.object(probe, "fit", lambda *_: nothing):
        start = clocks()
        build(plan, Path(folder), batch_size=batch_size, device=device)
        return since(start)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="mnist5k")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int, default=640, help="images of each split")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
