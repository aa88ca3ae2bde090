"""Read and prepare inputs on other threads, ahead of the forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from bench.bank.plan import Plan
from bench.datasets.images import blocks
from bench.inputs.images import Transform, augment, square
from bench.system.cpus import cpu_count

_READERS = 8  # threads that feed an accelerator; on a CPU one is enough
_LARGE_AT_ONCE = 8  # images larger than the backbone's input that are decoded before they are resized
A = TypeVar("A")
B = TypeVar("B")


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int = 1) -> Iterator[B]:
    """Map a function over items in order on other threads, at most `threads` + 1 results ahead of the consumer.

    A single thread may use all cores in torch, as its caller does; several threads use one core each.
    """
    remaining, cores = iter(items), torch.get_num_threads()
    alone = (lambda: None) if threads == 1 else partial(torch.set_num_threads, 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="bank-reader", initializer=alone) as pool:
        waiting: deque[Future[B]] = deque(pool.submit(function, item) for item in islice(remaining, threads + 1))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
            if threads > 1:
                torch.set_num_threads(cores)  # later threads inherit a thread's setting


@dataclass(frozen=True)
class Job:
    """One batch of a split: B positions in its canonical order."""

    split: str
    positions: np.ndarray


@dataclass(frozen=True)
class Chunk:
    """A batch after reading: finished inputs, or small squares of one size for an accelerator to resize."""

    job: Job
    keys: np.ndarray
    squares: Tensor | None  # uint8 [B, S, S, 3]
    inputs: tuple[Tensor, ...]  # per view, as `Preparation.batch` returns them

    def view(self, plan: Plan, view: int, device: torch.device) -> Tensor:
        """Return the backbone's input for one view."""
        if self.squares is None:
            return self.inputs[view].to(device, non_blocking=True)
        squares = augment(self.squares.to(device, non_blocking=True), self.keys, view)
        return cast(Transform, plan.preparation)(squares)


def views_of(plan: Plan, split: str) -> range:
    """Return the view numbers of a split; only train has augmented views."""
    return range(1 + plan.views if split == "train" else 1)


def chunks(plan: Plan, jobs: Iterable[Job], device: torch.device) -> Iterator[Chunk]:
    """Yield the read batches of jobs in order, reading ahead of the device."""
    threads = 1 if device.type == "cpu" else min(_READERS, cpu_count())
    return ahead(lambda job: read(plan, job, device), jobs, threads)


def read(plan: Plan, job: Job, device: torch.device) -> Chunk:
    """Read one batch and do the preparation that is cheaper on the host; for a CPU, all of it."""
    pin = device.type == "cuda"
    rows, keys = plan.rows[job.split][job.positions], plan.keys[job.split][job.positions]
    if plan.modality == "text":
        return Chunk(job, keys, None, (plan.preparation.batch(plan.dataset.read(rows), keys),))
    small = (plan.dataset.native_size or 0) <= plan.preparation.size
    step = len(rows) if small else _LARGE_AT_ONCE
    pieces: list[list[Tensor]] = [[] for _ in views_of(plan, job.split)]
    start = 0
    for block in blocks(plan.dataset.read, rows, step):
        images, part = [square(image) for image in block], slice(start, start + len(block))
        start += len(block)
        whole = small and device.type != "cpu" and len(images) == len(rows)
        if whole and len({len(image) for image in images}) == 1:
            stack = torch.from_numpy(np.stack(images))
            return Chunk(job, keys, stack.pin_memory() if pin else stack, ())
        for view, done in enumerate(pieces):
            done.append(plan.preparation.batch(images, keys[part], view))
    inputs = (done[0] if len(done) == 1 else torch.cat(done) for done in pieces)
    return Chunk(job, keys, None, tuple(batch.pin_memory() if pin else batch for batch in inputs))
