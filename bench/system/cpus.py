"""The number of CPUs that this process may use, limited by its affinity and its container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cpu_count() -> int:
    """Return the number of CPUs that this process may keep busy, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([affinity, *_quotas()])))


def _quotas() -> Iterator[float]:
    """Return the limits in CPUs of this process's control groups (versions 2 and 1) and of those above them."""
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (folder / "cpu.max").read_text().split()
            yield float(quota) / float(period)  # 'max' is not a number: no limit
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if float(quota) > 0:
                yield float(quota) / float(period)


def _folders() -> Iterator[Path]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        for line in OWN.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            base = ROOT if not controllers else ROOT / controllers
            if not controllers or "cpu" in controllers.split(","):
                inner = base / path.lstrip("/")
                yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(base))
    yield from (ROOT, ROOT / "cpu")
