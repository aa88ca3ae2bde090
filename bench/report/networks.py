"""Networks that are published beside the records of their settings."""

from __future__ import annotations

from functools import cache

from bench.bank.cell import Cell
from bench.suites.suite import DESCRIPTION, RESULTS, suites
from bench.trials.folders import place_of


def network_folder(cell: Cell) -> str | None:
    """Return the folder of a setting's network, relative to the current folder; None if no network is published.

    Networks of suites are known even where their folders are absent, as in an installed package.
    """
    folder = RESULTS / place_of(cell) / "network"
    known = folder.as_posix() in _of_suites() or (folder / DESCRIPTION).is_file()
    return folder.as_posix() if known else None


@cache
def _of_suites() -> frozenset[str]:
    return frozenset(s.network.folder.as_posix() for suite in suites().values() for s in suite.settings if s.network)
