"""The ledger of a distributed run: which trial was started where and how often, and the results for the driver."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

SETTLE = 4.0  # seconds that a cluster may need to notice that a node, not only a process on it, is gone

Answer = Literal["go", "wait", "stop"]


@dataclass(frozen=True)
class Event:
    """Something that the driver must know about trial `index`, or about a bank that a node cannot see."""

    kind: Literal["started", "finished", "died", "refused", "wanted"]
    index: int
    payload: Any = None  # results of a finished trial; seconds of each attempt of one whose processes died; …


@dataclass
class Attempt:
    """One start of a trial on a node; times are of the ledger's own monotonic clock."""

    node: str
    began: float
    ended: float | None = None


@dataclass
class Entry:
    """The state of one trial."""

    attempts: list[Attempt] = field(default_factory=list)
    closed: bool = False
    doubt: float | None = None  # when its processes first seemed to have died too often


class Ledger:
    """The ledger in a process of its own on the cluster: workers ask it before a trial and send it the results.

    An attempt that did not finish although its node is alive counts as a dead process; after `retries` + 1 of those a
    trial is given up. Attempts on dead nodes do not count: their trials move to other nodes.
    """

    def __init__(
        self, retries: int, alive: Callable[[set[str]], set[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.retries, self.alive, self.clock = retries, alive, clock
        self.entries: dict[int, Entry] = {}
        self.events: list[Event] = []
        self.banks: dict[str, dict[str, Any] | None] = {}
        self.shut = False

    def begin(self, index: int, node: str) -> Answer:
        """Return whether a worker should do this trial now, ask again soon, or skip it."""
        entry = self._entry(index)
        if entry.closed or self.shut:
            return "stop"
        now = self.clock()
        self.died(index)
        died = self._deaths(entry)
        if len(died) > self.retries:
            entry.doubt = now if entry.doubt is None else entry.doubt
            if now - entry.doubt < SETTLE:
                return "wait"
            self._close(index, Event("died", index, died))
            return "stop"
        entry.doubt = None
        entry.attempts.append(Attempt(node, now))
        self.events.append(Event("started", index))
        return "go"

    def died(self, index: int) -> None:
        """Note that the process of the latest attempt at a trial is gone, unless it is noted already."""
        attempts = self._entry(index).attempts
        if attempts and attempts[-1].ended is None:
            attempts[-1].ended = self.clock()

    def finish(self, index: int, results: Any) -> None:
        """Store the results of a trial; those of a second worker, which was believed dead, are ignored."""
        self._close(index, Event("finished", index, results))

    def refuse(self, index: int, reason: str) -> None:
        """Give up a trial for which no worker could be started."""
        self._close(index, Event("refused", index, reason))

    def want(self, digest: str) -> dict[str, Any] | None:
        """Return references to the files of a bank, None until the driver offers them; the first call requests them."""
        if digest not in self.banks:
            self.banks[digest] = None
            self.events.append(Event("wanted", -1, digest))
        return self.banks[digest]

    def offer(self, digest: str, files: dict[str, Any]) -> None:
        """Store references to the files of a bank; an empty mapping means that the driver cannot read them."""
        self.banks[digest] = files

    def shut_down(self) -> None:
        """Allow no further trial to start."""
        self.shut = True

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self.events = self.events, []
        return taken

    def _entry(self, index: int) -> Entry:
        return self.entries.setdefault(index, Entry())

    def _deaths(self, entry: Entry) -> list[float]:
        """Return the duration in seconds of each attempt whose process died on a node that is alive."""
        if not entry.attempts:
            return []
        alive = self.alive({attempt.node for attempt in entry.attempts})
        return [a.ended - a.began for a in entry.attempts if a.ended is not None and a.node in alive]

    def _close(self, index: int, event: Event) -> None:
        entry = self._entry(index)
        if not entry.closed:
            entry.closed = True
            self.events.append(event)
