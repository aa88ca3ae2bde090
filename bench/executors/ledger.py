"""The ledger of a distributed run: which trial was begun where and how often, and the results on their way home."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

SETTLE = 4.0  # seconds that a cluster may need to notice that a node, not only a process on it, is gone

Answer = Literal["go", "wait", "stop"]


@dataclass(frozen=True)
class Event:
    """Something the driver should know: of trial `index`, or of a bank that a node cannot see."""

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
    """What is known of one trial."""

    attempts: list[Attempt] = field(default_factory=list)
    closed: bool = False
    doubt: float | None = None  # since when it looks as if its processes died too often


class Ledger:
    """Lives in one small process of the cluster. Workers ask it before they begin a trial, and hand results to it.

    An attempt that neither finished nor had its node die is a process that died; after `retries` + 1 of those a
    trial is given up. Attempts on nodes that died count for nothing: their trials simply move.
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
        """Say whether a worker should do this trial now, ask again in a moment, or leave it."""
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
        """Note that the process of the latest attempt at a trial is gone, if that is news."""
        attempts = self._entry(index).attempts
        if attempts and attempts[-1].ended is None:
            attempts[-1].ended = self.clock()

    def finish(self, index: int, results: Any) -> None:
        """Take the results of a trial; those of a second worker that was believed dead are dropped."""
        self._close(index, Event("finished", index, results))

    def refuse(self, index: int, reason: str) -> None:
        """Give up a trial for which no worker could even be started."""
        self._close(index, Event("refused", index, reason))

    def want(self, digest: str) -> dict[str, Any] | None:
        """Return references to the files of a bank, None until the driver has offered them; the first call asks it."""
        if digest not in self.banks:
            self.banks[digest] = None
            self.events.append(Event("wanted", -1, digest))
        return self.banks[digest]

    def offer(self, digest: str, files: dict[str, Any]) -> None:
        """Take references to the files of a bank; none at all where the driver cannot read them."""
        self.banks[digest] = files

    def shut_down(self) -> None:
        """Let no worker begin any more."""
        self.shut = True

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self.events = self.events, []
        return taken

    def _entry(self, index: int) -> Entry:
        return self.entries.setdefault(index, Entry())

    def _deaths(self, entry: Entry) -> list[float]:
        """Return how many seconds each attempt lasted whose process died on a node that lives."""
        if not entry.attempts:
            return []
        alive = self.alive({attempt.node for attempt in entry.attempts})
        return [a.ended - a.began for a in entry.attempts if a.ended is not None and a.node in alive]

    def _close(self, index: int, event: Event) -> None:
        entry = self._entry(index)
        if not entry.closed:
            entry.closed = True
            self.events.append(event)
