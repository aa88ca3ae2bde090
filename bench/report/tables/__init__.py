"""The tables of a report, one module each: `cell_tables` of a cell, `overall_tables` across cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report.context import CellReport, Report
    from bench.report.table import Table


def cell_tables(report: CellReport) -> list[Table]:
    """Return the tables of a cell in the order of its page; those that its records cannot fill are left out."""
    from bench.report.tables.leaderboard import leaderboard

    return [leaderboard(report)]


def overall_tables(report: Report) -> list[Table]:
    """Return the tables across cells; none where no two cells count."""
    return []
