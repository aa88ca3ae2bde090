"""The measured latencies of a setting, from all stores of a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.bank.cell import Cell
from bench.execution.measurements import Measurements, Part, load, path_of


def measured(roots: Iterable[Path], cell: Cell) -> tuple[Part, ...]:
    """Return what every machine measured on a setting; of the same policy in several stores the last one counts.

    Raises UserError if a file of latencies is damaged.
    """
    found = Measurements(cell=cell)
    for root in roots:
        for part in load(path_of(root, cell), cell).machines:
            found = found.added(part.machine, part.rows)
    return found.machines
