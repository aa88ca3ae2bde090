"""A child process that answers one job after the other; it can be killed and shares no state with its parent."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from bench.plugins import registry

Answer = Callable[[Any], Any]
NEEDED = "bench.executors.worker"  # imports what every child needs


class Child:
    """A process that calls `prepare(*given)` and then passes every job to the function that it returns."""

    def __init__(self, prepare: Callable[..., Answer], *given: Any) -> None:
        context = process_context()
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, dict(os.environ), prepare, given)
        self.process = context.Process(target=_serve, args=arguments, name="exitbench trials")
        self.process.start()
        theirs.close()
        atexit.register(self.end)  # before multiprocessing's own hook, which would wait for the child
        self.ready = False

    def ask(self, job: Any, seconds: float | None = None) -> Any:
        """Return the answer to a job, or None if the child died or did not answer in time."""
        try:
            if not self.ready:
                self.ready = self.pipe.recv() == "ready"
            self.pipe.send_bytes(pickle.dumps(job))
            wait([self.pipe, self.process.sentinel], seconds)
            return self.pipe.recv() if self.pipe.poll() else None
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the child and the processes that it started, if it is alive; return how it ended."""
        atexit.unregister(self.end)
        self.process.join(0.2 if self.pipe.closed or not self.process.is_alive() else 0)
        if self.process.is_alive():
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid or 0, signal.SIGKILL)
            self.process.kill()
            self.process.join()
        self.pipe.close()
        return _death(self.process.exitcode)


def plugin_files() -> tuple[Path, ...]:
    """Return the plugin files that this process has loaded, for a child to load."""
    found = (plugin.file for kind in registry.KINDS for plugin in registry.plugins(kind).values() if plugin.file)
    return tuple(dict.fromkeys(found))


def process_context() -> Any:
    """Return the multiprocessing context of children: on Linux, forks of a server that has imported what they need."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([NEEDED])
    return context


def _serve(pipe: Connection, environment: dict[str, str], prepare: Callable[..., Answer], given: tuple) -> None:
    """Run as the child: answer jobs until the parent is gone."""
    os.setsid()  # a group of its own, which the parent ends as a whole; Ctrl-C is for the parent alone
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    answer = prepare(*given)
    pipe.send("ready")
    while True:
        try:
            job = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send(answer(pickle.loads(job)))


def _follow(parent: Any) -> None:
    wait([parent.sentinel])
    os._exit(1)


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else f"signal {-code}"
    cause = " (killed, or out of memory)" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{cause}"
