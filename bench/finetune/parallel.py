"""Train on several devices: one process for each, which computes its part of every batch.

The order of samples, their augmentation and the batch size are the same as on one device. Gradients are summed over
the processes, and batch normalisation uses the mean and variance of the whole batch (on CPUs and GPUs alike), so the
number of devices changes results only by rounding. The network's own random draws (dropout) do differ.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.errors import UserError
from bench.executors.child import process_context
from bench.system.cpus import cpu_count

GRACE = 3.0  # seconds to wait for the reasons of other processes after the first failure
Tell = Callable[..., None]


@dataclass(frozen=True)
class Group:
    """This process in the group that trains one network; a group of one by default."""

    device: torch.device
    rank: int = 0
    size: int = 1

    def part(self, count: int) -> slice:
        """Return which of `count` samples this process computes."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, values: Tensor) -> Tensor:
        """Add up values of all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes."""
        if self.size > 1:
            gradients = [p.grad for p in parameters if p.grad is not None]
            flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def whole_batch(self) -> AbstractContextManager[Any]:
        """Make batch normalisation in the block use the statistics of all processes' samples."""
        return _WholeBatch() if self.size > 1 else nullcontext()


def devices_for(device: str, asked: int | None, samples: int) -> int:
    """Return the number of devices: `asked`, else all GPUs for 'cuda', else 1. Raises UserError for too many."""
    there = torch.cuda.device_count() if device == "cuda" else None
    count = asked if asked is not None else min(there or 1, samples)
    if count < 1 or (count > 1 and device not in ("cpu", "cuda")):
        raise UserError(f"--devices {count} is not valid with --device {device}. Give 1, or --device cuda.")
    if there is not None and count > there:
        raise UserError(f"--devices {count}: this machine has {there}. Give at most that many.")
    if count > samples:
        raise UserError(f"--devices {count} is more than the {samples} samples of a batch. Raise --batch-size.")
    return count


class _Sum(torch.autograd.Function):
    """A sum over processes, whose gradient is summed over them as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # type: ignore[override]
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _Sum.forward(ctx, gradient.contiguous())


class _WholeBatch(TorchFunctionMode):
    """Replaces the function that every kind of batch norm calls, so that networks stay as they are."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is nn.functional.batch_norm and kwargs.get("training", args[5] if len(args) > 5 else False):
            with torch._C.DisableTorchFunction():
                return _batch_norm(*args, **kwargs)
        return function(*args, **kwargs)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise [B, C, …] by the mean and variance [C] of all processes' batches (`torch.nn.functional.batch_norm`)."""
    axes, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    wide = x.float()
    count = torch.full((1,), x.numel() / x.shape[1], device=x.device)
    *sums, count = _Sum.apply(torch.cat([wide.sum(axes), count])).split([x.shape[1], 1])  # type: ignore[no-untyped-call]
    mean = sums[0] / count
    centred = wide - mean.view(shape)
    var = _Sum.apply(centred.square().sum(axes)) / count  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    y = centred * (var + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return (y if bias is None else y + bias.view(shape)).to(x.dtype)


def launch(devices: int, device: str, work: Callable[..., None], args: Sequence[Any], tell: Tell) -> None:
    """Run work(group, tell, *args) in one process per device until all end; pass on what the first one tells.

    Raises UserError with the error of a process, or if one was killed; the others are then ended.
    """
    context = process_context()
    with tempfile.TemporaryDirectory() as folder:
        processes, pipes = [], []
        try:
            for rank in range(devices):
                here, there = context.Pipe(duplex=False)
                group = Group(torch.device(device, rank) if device == "cuda" else torch.device(device), rank, devices)
                where = group, Path(folder, "meet")
                process = context.Process(target=_process, args=(there, dict(os.environ), *where, work, args))
                process.start()
                there.close()
                processes.append(process)
                pipes.append(here)
            _watch(processes, pipes, tell)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(GRACE)
                process.kill()


def _watch(processes: Sequence[Any], pipes: list[Connection], tell: Tell) -> None:
    """Wait until all processes have succeeded; raise the first error."""
    said: dict[str, str] = {}
    deadline: float | None = None
    while any(process.exitcode is None for process in processes):
        for pipe in wait([*pipes, *(p.sentinel for p in processes if p.exitcode is None)], timeout=0.5):
            if not isinstance(pipe, Connection):
                continue
            try:
                kind, content = pipe.recv()
            except (EOFError, OSError):
                pipes.remove(pipe)
                continue
            if kind == "told":
                tell(*content)
            else:
                said.setdefault(kind, content)
        if said or any(process.exitcode for process in processes):
            deadline = deadline or time.monotonic() + GRACE
            if time.monotonic() > deadline:
                break
    if "mistake" in said:
        raise UserError(said["mistake"])
    for rank, process in enumerate(processes):
        if process.exitcode is not None and process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            raise UserError(
                f"Process {rank + 1} of {len(processes)} was killed ({name}), for example because memory ran out. "
                "Run the same command again: it resumes from its last checkpoint."
            )
    if said or any(process.exitcode for process in processes):
        raise RuntimeError(said.get("error", "a process of the training ended without a reason"))


def _process(
    pipe: Connection,
    environment: dict[str, str],
    group: Group,
    meeting: Path,
    work: Callable[..., None],
    args: Sequence[Any],
) -> None:
    """Join the group, do the work, and send the outcome."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, cpu_count() // group.size))
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all of them are on this machine
    try:
        if group.device.type == "cuda":
            torch.cuda.set_device(group.device)
        backend = "nccl" if group.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=meeting.as_uri(), rank=group.rank, world_size=group.size)
        work(group, (lambda *told: pipe.send(("told", told))) if group.rank == 0 else _silent, *args)
        dist.destroy_process_group()
    except UserError as error:
        pipe.send(("mistake", str(error)))
        sys.exit(1)
    except Exception:
        with suppress(OSError):
            pipe.send(("error", traceback.format_exc()))
        sys.exit(1)


def _silent(*told: Any) -> None:
    pass


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
