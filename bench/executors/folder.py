"""The temporary folder of a run that starts Ray; it is removed and its processes are ended however the run ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UserError
from bench.executors import sweeper

WORK = "work"  # within the folder: where Ray is started
LONGEST = 24  # characters of the path above the folder; Ray adds 70, and the path of a socket has 107 at most
PATIENCE = 15.0  # seconds that sweeping may take


@contextlib.contextmanager
def swept() -> Iterator[Path]:
    """Make a folder for Ray; afterwards, or when this process is killed, end what runs there and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="eb-", dir=place())).resolve()
    (folder / WORK).mkdir()
    command = [sys.executable, "-I", "-S", sweeper.__file__, str(folder)]
    keeper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        start_new_session=True,
    )  # fmt: skip
    assert keeper.stdin is not None
    try:
        yield folder
    finally:
        keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(PATIENCE)


def place() -> str:
    """Return a folder for temporary files whose path is short and ASCII, as Ray's sockets need it."""
    given = [os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]
    for path in filter(None, given):
        real = os.path.realpath(path)
        if real.isascii() and len(real) <= LONGEST and os.access(real, os.W_OK | os.X_OK):
            return real
    raise UserError(
        f"Ray needs a writable folder for its sockets whose path is ASCII and has at most {LONGEST} characters; "
        "neither $TMPDIR nor /tmp is such a folder. Set RAY_TMPDIR, or run with --executor serial."
    )
