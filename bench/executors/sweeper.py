"""A helper process that cleans up after a run that started Ray, however the run ended.

`python -I -S sweeper.py FOLDER`: wait until standard input is closed, which happens at the latest when the run's
process is gone, even by SIGKILL. Then end all processes that were started in FOLDER/work, and remove FOLDER. It imports
nothing of this project, so that it starts at once.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

PROC = Path("/proc")
PATIENCE = 10.0  # seconds in which processes that are just starting may appear


def wait() -> None:
    """Return when the other end of standard input is closed."""
    while os.read(0, 4096):
        pass


def sweep(folder: str) -> None:
    """End the processes of a folder, including those that start meanwhile, and remove it."""
    end = time.monotonic() + PATIENCE
    while PROC.is_dir() and (found := processes(folder)) and time.monotonic() < end:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.1)
    while Path(folder).exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def processes(folder: str) -> list[int]:
    """Return the processes whose working folder is `folder`/work, in which Ray is started."""
    return [int(p.name) for p in PROC.iterdir() if p.name.isdigit() and _place(p) == f"{folder}/work"]


def _place(process: Path) -> str:
    try:
        return str((process / "cwd").readlink()).removesuffix(" (deleted)")
    except OSError:  # gone, or another user's
        return ""


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # must outlive the signal that ends the run
    wait()
    sweep(sys.argv[1])
