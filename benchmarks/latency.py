"""Print the overhead of early-exit inference if no sample leaves, as a share of the plain backbone's time.

    python benchmarks/latency.py [--backbone efficientnet_lite0] [--image-size 96] [--batch-size 64] [--repeats 15]

The variants alternate in one run. The policy's heads and gates compute nothing, so the overhead is that of the features
of every exit and of compaction: stacking answers, checking which samples leave, and the host's wait for the result.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import backbones
from bench.execution.timing import measure
from bench.inference import execute_batch
from bench.method import Policy


class Nobody(Policy):
    """Sends every sample to the last exit, with heads and gates that compute nothing."""

    def head(self, k: int, features: Tensor, previous: Sequence[Tensor]) -> Tensor:
        """Return the first two features as logits of the two classes."""
        return features[:, :2]

    def leave(self, k: int, logits: Tensor) -> Tensor:
        """Return that no sample leaves [N]."""
        return logits.new_zeros(len(logits), dtype=torch.bool)

    def macs(self, k: int) -> int:
        """Return 0."""
        return 0


def main() -> None:
    """Measure the overhead and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processor-time", action="store_true", help="on a CPU that is busy with other work")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = options.image_size
    backbone = backbones.load(options.backbone, num_classes=2, image_size=size, weights="random").to(options.device)
    images = torch.randn(options.batch_size, 3, size, size, device=options.device)
    policy = Nobody().eval()

    def plain(batch: Tensor) -> Tensor:
        state = backbone.start(batch)
        for k in range(backbone.num_exits):
            state = backbone.stage(k, state)
        return backbone.head(backbone.final(state))

    sides = {
        "plain": plain,
        "features": lambda batch: backbone.exits(batch),
        "executed": lambda batch: execute_batch(policy, backbone, batch),
    }
    clock = time.process_time if options.processor_time else time.perf_counter
    found = measure(sides, [images], options.repeats, clock=clock)
    print(
        f"{options.backbone} at {size} px, {backbone.num_exits} exits, batch {options.batch_size}, {options.device}, "
        f"{options.threads} thread(s), {options.repeats} repeats: {statistics.median(found['plain']):.1f} ms"
    )
    for name, side, beside in (
        ("early exit, no sample leaves", "executed", "plain"),
        ("  of which features of exits", "features", "plain"),
        ("  of which compaction", "executed", "features"),
    ):
        shares = [(x - y) / z for x, y, z in zip(found[side], found[beside], found["plain"], strict=True)]
        q1, middle, q3 = statistics.quantiles(shares, n=4)
        print(f"{name}: {middle:+.1%} of the plain backbone (quartiles {q1:+.1%} to {q3:+.1%})")


if __name__ == "__main__":
    main()
