"""`bench …`, or a script, as a copy of a process that has imported what it needs, which saves 5 CPU seconds."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PRELOADED = ["bench.executors.worker", "bench.cli.run", "bench.session", "bench.report.build", "bench.tune.serial"]


class Forked:
    """A process of its own group, with the interface of subprocess.Popen as far as tests use it."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str], first: Callable[[], Any]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        given = (words, folder, environment, first, *(there for _, there in pipes))
        self._process = context.Process(target=_bench, args=given)
        self._process.start()
        self._said: list[list[bytes]] = [[], []]
        self._readers = []
        for (here, there), said in zip(pipes, self._said, strict=True):
            there.close()
            self._readers.append(threading.Thread(target=_read, args=(here, said), daemon=True))
            self._readers[-1].start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("bench", timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was written to stdout and stderr."""
        self.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        out, err = (b"".join(said).decode() for said in self._said)
        return out, err

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _read(pipe: Connection, said: list[bytes]) -> None:
    while part := os.read(pipe.fileno(), 1 << 16):
        said.append(part)


def _bench(
    words: list[str], folder: Path, environment: dict[str, str], first: Callable[[], Any], *pipes: Connection
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, pipe in zip((1, 2), pipes, strict=True):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    first()
    try:
        if words[0].endswith(".py"):
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
        else:
            from bench.cli import main

            sys.argv = ["bench", *words]
            main()
    finally:
        with contextlib.suppress(OSError):
            atexit._run_exitfuncs()
            sys.stdout.flush()
