"""The ledger of a distributed run: which trial was begun where and how often, and the results on their way home."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """Something the driver should know of trial `index`."""

    kind: Literal["started", "finished", "lost"]
    index: int
    payload: Any = None  # the results of a finished trial; how long its attempts lasted, of a lost one


@dataclass
class Attempt:
    """One start of a trial on a node, at a time of the ledger's own monotonic clock."""

    node: str
    began: float


@dataclass
class Entry:
    """What is known of one trial."""

    attempts: list[Attempt] = field(default_factory=list)
    closed: bool = False


class Inbox:
    """Lives in one small process of the cluster. Workers ask it before they begin a trial, and hand results to it.

    An attempt that neither finished nor had its node die is a process that died; after `retries` + 1 of those a
    trial is lost. Attempts on nodes that died count for nothing: their trials simply move.
    """

    def __init__(
        self, retries: int, alive: Callable[[], set[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.retries, self.alive, self.clock = retries, alive, clock
        self.entries: dict[int, Entry] = {}
        self.events: list[Event] = []

    def begin(self, index: int, node: str) -> bool:
        """Say whether a worker should do this trial now; False where it is closed, or has just been given up."""
        entry = self.entries.setdefault(index, Entry())
        if entry.closed:
            return False
        now = self.clock()
        alive = self.alive()
        ends = [*(a.began for a in entry.attempts), now][1:]
        died = [end - a.began for a, end in zip(entry.attempts, ends, strict=True) if a.node in alive]
        if len(died) > self.retries:
            entry.closed = True
            self.events.append(Event("lost", index, died))
            return False
        entry.attempts.append(Attempt(node, now))
        self.events.append(Event("started", index))
        return True

    def finish(self, index: int, results: Any) -> None:
        """Take the results of a trial; those of a second worker that was believed dead are dropped."""
        entry = self.entries.setdefault(index, Entry())
        if not entry.closed:
            entry.closed = True
            self.events.append(Event("finished", index, results))

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self.events = self.events, []
        return taken
