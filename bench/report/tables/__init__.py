"""The tables of a report: `cell_tables` of a setting, `overall_tables` across settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.report.context import CellReport
    from bench.report.formats.table import Table
    from bench.report.summary import Report


def cell_tables(report: CellReport) -> list[Table]:
    """Return the tables of a setting in the order of its page, without those for which the records have no data."""
    from bench.report.tables.budgets import accuracy_table, cost_table
    from bench.report.tables.leaderboard import leaderboard
    from bench.report.tables.longtail import longtail
    from bench.report.tables.points import points
    from bench.report.tables.searches import searches
    from bench.report.tables.timing import timing
    from bench.report.tables.uncertainty import uncertainty

    methods = (
        [make(report.statistics) for make in (leaderboard, accuracy_table, cost_table)]
        if report.statistics.methods
        else []
    )
    found = [*methods, uncertainty(report), longtail(report), timing(report), searches(report), points(report)]
    return [table for table in found if table is not None]


def overall_tables(report: Report) -> list[Table]:
    """Return the tables across the settings of each track; a track with fewer than two valid settings has none."""
    from dataclasses import replace

    from bench.report.tables.overall import every_setting, overall, pairs_table

    found = []
    for track in report.tracks:
        if len(track.across.cells) < 2:
            continue
        for make in (overall, every_setting, *([pairs_table] if track.across.pairs else [])):
            table = make(track)
            name, title = report.labelled(table.name, table.title, track)
            found.append(replace(table, name=name, title=title))
    return found
