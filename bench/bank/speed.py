"""Measure how fast a bank would be built on this machine, on a few batches."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch

from bench.bank.compute import features, ready
from bench.bank.plan import Plan
from bench.bank.stream import Job, chunks
from bench.system.cpus import cpu_count

WARM = 8  # images in the warm-up batches, which decide the size of the timed batches
BATCHES = 3  # timed batches; the median is used, because a busy machine slows down single ones
LARGEST = 64  # most images in a timed batch: a build's batch size


@torch.inference_mode()
def images_per_second(plan: Plan, device: str) -> float:
    """Return the measured speed of the backbone on a few training images with all cores; takes about a second."""
    torch.set_num_threads(cpu_count())
    with ready(plan, torch.device(device)):
        return _measured(plan, torch.device(device))


def _measured(plan: Plan, device: torch.device) -> float:
    images = len(plan.rows["train"])
    warm = min(WARM, images)
    _seconds(plan, warm, warm, device)
    size = max(warm, min(LARGEST, int(0.3 * warm / _seconds(plan, warm, warm, device))))
    size = min(size, images)
    per_view = size / median(_seconds(plan, size, size, device) for _ in range(BATCHES))
    return per_view * plan.images / (plan.images + plan.views * images)


def _seconds(plan: Plan, count: int, size: int, device: torch.device) -> float:
    """Time the first `count` images of train, in batches of `size`."""
    jobs = [Job("train", np.arange(start, min(start + size, count))) for start in range(0, count, size)]
    began = time.perf_counter()
    for chunk in chunks(plan, jobs, device):
        last = features(plan, chunk.view(plan, 0, device))[-1]
        last.sum().item()  # waits for an accelerator
    return time.perf_counter() - began
