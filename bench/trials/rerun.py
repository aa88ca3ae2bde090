"""What is stored of an operating point, and whether a run has to compute it (again)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from bench.bank.cell import Cell
from bench.trials.accepted import made_by_other_code
from bench.trials.record import Point
from bench.trials.store import Store, read

REDO = {
    "missing": ("missing",),
    "failed": ("missing", "failed"),
    "changed": ("missing",),  # and all that is changed
    "all": ("missing", "failed", "done"),
}


class State(NamedTuple):
    """The state of an operating point or a trial; `changed` if other code of the same version stored it."""

    name: Literal["done", "failed", "missing"]
    changed: bool = False

    @classmethod
    def of(cls, status: str | None, changed: bool = False) -> State:
        """Return the state for the status of a stored record, None if there is none."""
        if status is None:
            return cls("missing")
        return cls("failed" if status in ("failed", "timeout") else "done", changed)

    def owed(self, rerun: str) -> bool:
        """Return whether a run computes it: see the option --rerun."""
        return self.name in REDO[rerun] or (rerun == "changed" and self.changed)


def wanted(store: Store, cell: Cell, points: Iterable[Point], rerun: str) -> list[Point]:
    """Return the points that a run has to compute."""
    found = []
    for point in points:
        status = store.status(cell, point)
        read_code = rerun == "changed" and status is not None
        changed = read_code and made_by_other_code(read(store.path(cell, point)).point)
        if State.of(status, changed).owed(rerun):
            found.append(point)
    return found
