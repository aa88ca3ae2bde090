"""What is known of a bank before it is built: what it is of, its size, and how fast a build would be."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch

from bench.bank.bank import open_for
from bench.bank.cell import Cell, planned_cell
from bench.bank.plan import Plan, default_root
from bench.bank.store import partial_folder
from bench.bank.stream import Job, ahead, read
from bench.errors import BankError

State = Literal["built", "partial", "to build", "broken"]
WARM = 8  # images of the first batches of a measurement, which say how many its timed ones may have
BATCHES = 3  # timed ones; their median counts, as a busy machine makes single ones slow
LARGEST = 64  # images of a timed batch; a build's batches have as many


@dataclass(frozen=True)
class BankStatus:
    """A bank as it is, or would be."""

    cell: Cell
    state: State
    images: int
    to_compute: int  # images that a build would still send through the backbone
    bytes: int  # on disk; of a bank that is not built, its feature arrays'
    path: Path
    problem: str | None = None  # of a broken one


def bank_status(plan: Plan, root: Path | None) -> BankStatus:
    """Look for the planned bank without building it; a corrupt one is told of, not raised."""
    path = (default_root() if root is None else Path(root)) / plan.folder
    images = sum(map(len, plan.rows.values()))
    cell = planned_cell(plan)
    if path.exists():
        try:
            return BankStatus(cell, "built", images, 0, open_for(plan, path).manifest.bytes, path)
        except BankError as error:
            return BankStatus(cell, "broken", images, 0, plan.bytes, path, str(error))
    partial = partial_folder(path)
    if partial.is_dir():
        return BankStatus(cell, "partial", images, images - _images_done(partial, plan), plan.bytes, path)
    return BankStatus(cell, "to build", images, images, plan.bytes, path)


@torch.inference_mode()
def images_per_second(plan: Plan, device: str) -> float:
    """Read a few images of the train split and send them through the backbone with all cores: about a second's work."""
    torch.set_num_threads(os.cpu_count() or 1)
    plan.backbone.to(device).eval()
    images = len(plan.rows["train"])
    warm = min(WARM, images)
    _seconds(plan, warm, warm, device)
    size = max(warm, min(LARGEST, int(0.3 * warm / _seconds(plan, warm, warm, device))))
    size = min(size, images)
    per_view = size / median(_seconds(plan, size, size, device) for _ in range(BATCHES))
    total = sum(map(len, plan.rows.values()))
    return per_view * total / (total + plan.views * images)


def _seconds(plan: Plan, count: int, size: int, device: str) -> float:
    """Time the first `count` images of train, in batches of `size`."""
    jobs = [Job("train", np.arange(start, min(start + size, count))) for start in range(0, count, size)]
    began = time.perf_counter()
    for chunk in ahead(lambda job: read(plan, job), jobs):
        last = list(plan.backbone.features(chunk.view(plan, 0, torch.device(device))))[-1]
        last.sum().item()  # waits for an accelerator
    return time.perf_counter() - began


def _images_done(folder: Path, plan: Plan) -> int:
    """Count what an interrupted build has finished; 0 where its flags cannot be read."""
    try:
        return sum(int(np.load(folder / f"{split}.done.npy").sum()) for split in plan.rows)
    except (OSError, ValueError):
        return 0
