"""The measured latencies of a setting, from all stores of a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.bank.cell import Cell
from bench.execution.measurements import Measurements, Part, load, path_of


def measured(roots: Iterable[Path], cell: Cell) -> tuple[Part, ...]:
    """Return the measurements of all machines on a setting; if several stores have a policy, the last store counts.

    Raises UserError if a file of latencies is damaged.
    """
    found = Measurements(cell=cell)
    for root in roots:
        for part in load(path_of(root, cell), cell).machines:
            found = found.added(part.machine, part.rows)
    return found.machines
