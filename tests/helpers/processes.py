"""What runs on this machine, from /proc."""

from __future__ import annotations

import time
from pathlib import Path


def family(pid: int) -> dict[int, str]:
    """Return the living descendants of a process, as pid → command line."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _stat(int(folder.name))):
            parents[int(folder.name)] = int(stat[1])
    found: dict[int, str] = {}
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found.keys()
        found |= {child: _command(child) for child in new}
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be buried does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def survivors(pids: dict[int, str], seconds: float = 30) -> dict[int, str]:
    """Give processes time to end, and return those that do not."""
    limit = time.monotonic() + seconds
    while (left := {p: c for p, c in pids.items() if alive(p)}) and time.monotonic() < limit:
        time.sleep(0.1)
    return left


def _stat(pid: int) -> list[str] | None:
    """Return state, parent, … of a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""
