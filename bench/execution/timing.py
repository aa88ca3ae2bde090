"""Measure how long batches take, warm and synchronised with the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

WARM_UP = 3  # passes that are not measured
K = TypeVar("K")


@torch.inference_mode()
def measure(
    subjects: Mapping[K, Callable[[Tensor], object]],
    batches: Sequence[Tensor],
    repeats: int,
    advance: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[K, list[float]]:
    """Return for every subject the milliseconds per batch of each repeat: one pass over all batches.

    The subjects take turns within a repeat, and each repeat starts with a different one, so that other load on the
    machine affects all of them alike. The batches must be on the device.
    """
    for run in subjects.values():
        for _ in range(WARM_UP):
            _pass(run, batches, clock)
    order = list(subjects)
    found: dict[K, list[float]] = {key: [] for key in order}
    for _ in range(repeats):
        for key in order:
            found[key].append(_pass(subjects[key], batches, clock))
        order = order[1:] + order[:1]
        advance()
    return found


def _pass(run: Callable[[Tensor], object], batches: Sequence[Tensor], clock: Callable[[], float]) -> float:
    """Return the milliseconds per batch of one pass; the device has finished each batch before the next begins."""
    device = batches[0].device
    _finish(device)
    start = clock()
    for batch in batches:
        run(batch)
        _finish(device)
    return 1000 * (clock() - start) / len(batches)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
