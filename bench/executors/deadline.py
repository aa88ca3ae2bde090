"""A hard limit on the time of one trial: first an exception in the trial, then its process is killed."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GRACE = 5.0  # seconds between the exception and the kill


class TrialTimeout(BaseException):
    """The time limit of a trial is reached. Not a subclass of Exception, so `except Exception` does not catch it."""


@contextmanager
def deadline(seconds: float | None, *, kill: bool = False) -> Iterator[None]:
    """Raise TrialTimeout in the block after `seconds`, and again every second until it ends.

    With `kill`, a process that is still in the block GRACE seconds later is killed, whatever it does: the watchdog
    thread needs neither the interpreter's lock nor signals. None: no limit.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a deadline needs the main thread, where signals arrive")
    over, rest, interval, began = False, 0.0, 0.0, time.monotonic()

    def ring(number: int, frame: Any) -> None:
        if not over:
            raise TrialTimeout(f"no result within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    sink = open(os.devnull, "w") if kill else None  # noqa: SIM115, PTH123 - must stay open while the watchdog runs
    try:
        if sink is not None:
            faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=sink)
        rest, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            yield
        finally:
            over = True
    finally:  # reached even if the signal arrived on the line above; the next one is a second away
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if rest:  # the caller's own alarm was pending
            signal.setitimer(signal.ITIMER_REAL, max(rest - (time.monotonic() - began), 0.001), interval)
        if sink is not None:
            faulthandler.cancel_dump_traceback_later()
            sink.close()
