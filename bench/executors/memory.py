"""A limit on the memory that one trial may allocate."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError

GIB = 1 << 30
_SIGNS = re.compile(r"^_?\w*MemoryError\b|can't allocate memory|std::bad_alloc")


def check_supported(gib: float | None) -> None:
    """Raise UserError if a limit is asked for that this system cannot enforce."""
    if gib is not None and not sys.platform.startswith("linux"):
        raise UserError("A limit on memory needs Linux. Leave --memory out on this machine.")


@contextmanager
def memory_limit(gib: float | None) -> Iterator[None]:
    """Let the block allocate at most `gib` GiB more than the process holds at its start; None: no limit.

    An allocation beyond it raises MemoryError, or RuntimeError from torch. Mapped files and GPU memory do not count.
    """
    if gib is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _held() + int(gib * GIB)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def exhausted(reason: str | None) -> bool:
    """Return whether the reason in a record describes a refused allocation."""
    return bool(reason and _SIGNS.search(reason))


def _held() -> int:
    """Return the private writable memory of this process in bytes, which is what RLIMIT_DATA counts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmData")
