"""Child processes for trials of the serial executor: they can be ended, and a method can harm no other process."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from bench.bank.bank import Bank
from bench.executors.deadline import GRACE
from bench.executors.worker import Settings, Worker, failure_records, retry
from bench.plugins import registry
from bench.trials.guard import outside
from bench.trials.plan import Trial
from bench.trials.record import Status
from bench.trials.run import Result

OWN = "exitbench"  # the owner of the child for the methods of exitbench
SLACK = 5.0  # seconds beyond a trial's own watch before the parent ends it: it may be stopped, or stuck in the kernel


class Keeper:
    """Runs trials in child processes: one for all methods of exitbench, and one for each other method while it runs."""

    def __init__(self, settings: Settings, plugins: Sequence[Path | str]) -> None:
        self.settings, self.plugins = settings, tuple(Path(p).absolute() for p in plugins)
        self.children: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for child in self.children.values():
            child.end()

    def run(self, bank: Bank, trial: Trial) -> list[Result]:
        """Return the results of a trial; if it hangs or its process dies, it fails."""
        return retry(bank, trial, self.settings.retries, self._attempt)

    def _attempt(self, bank: Bank, trial: Trial) -> list[Result]:
        owner = trial.method if outside(trial) else OWN
        for other in self.children.keys() - {OWN, owner}:
            self.children.pop(other).end()
        if owner not in self.children:
            files = self.plugins or tuple(p.file for p in registry.plugins("methods").values() if p.file)
            self.children[owner] = _Child(dataclasses.replace(self.settings, retries=0), files)
        child = self.children[owner]
        began = time.monotonic()
        limit = self.settings.timeout
        bank = dataclasses.replace(bank, path=bank.path.absolute())
        answer = child.ask(pickle.dumps((bank, trial)), None if limit is None else limit + GRACE + SLACK)
        if answer is not None:
            return answer
        seconds, code = time.monotonic() - began, child.end()
        del self.children[owner]
        status: Status = "failed"
        reason = _death(code)
        if limit is not None and seconds >= limit:
            status, reason = "timeout", f"no result within {limit:g} seconds, and its process had to be ended"
        return failure_records(trial, self.settings.provenance, bank.manifest.macs[-1], status, reason)


class _Child:
    """A spawned process that runs one trial after the other."""

    def __init__(self, settings: Settings, plugins: tuple[Path, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, settings, plugins), name="exitbench trials")
        self.process.start()
        theirs.close()
        atexit.register(self.end)  # before multiprocessing's own hook, which would wait for the child
        self.ready = False

    def ask(self, job: bytes, seconds: float | None) -> list[Result] | None:
        """Return a trial's results, or None if the child died or did not answer in time."""
        try:
            if not self.ready:
                self.ready = self.pipe.recv() == "ready"
            self.pipe.send_bytes(job)
            wait([self.pipe, self.process.sentinel], seconds)
            return self.pipe.recv() if self.pipe.poll() else None
        except (EOFError, OSError):
            return None

    def end(self) -> int | None:
        """End the child and what it started, if it still lives; return its exit code."""
        atexit.unregister(self.end)
        self.process.join(0.2 if self.pipe.closed or not self.process.is_alive() else 0)
        if self.process.is_alive():
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid or 0, signal.SIGKILL)
            self.process.kill()
            self.process.join()
        self.pipe.close()
        return self.process.exitcode


def _serve(pipe: Connection, settings: Settings, plugins: tuple[Path, ...]) -> None:
    """Run as the child: answer trials until the parent is gone."""
    os.setsid()  # a group of its own, which the parent ends as a whole; Ctrl-C is for the parent alone
    parent = multiprocessing.parent_process()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    from bench.plugins.files import load_files

    load_files(plugins)
    worker = Worker(settings, expendable=True)
    pipe.send("ready")
    while True:
        try:
            job = pipe.recv_bytes()
        except EOFError:
            return
        bank, trial = pickle.loads(job)
        pipe.send(worker.attempt(bank, trial))


def _follow(parent: Any) -> None:
    wait([parent.sentinel])
    os._exit(1)


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in signal.Signals.__members__.values() else f"signal {-code}"
    cause = " (ended from outside, or out of memory)" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{cause}"
