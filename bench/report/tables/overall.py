"""Tables across settings: mean skill with wins, ties and losses; NAUC of every setting side by side; all pairs."""

from __future__ import annotations

from bench.report.formats.table import Column, Table, Value
from bench.report.summary import CellSummary, Report
from bench.report.tables.words import joined
from bench.stats.across import ZONE, AcrossStatistics
from bench.stats.flags import INCOMPARABLE, Flag


def skill_table(report: Report) -> Table:
    """Return methods by falling mean skill over all settings that count."""
    found = report.across
    rows: list[dict[str, Value]] = []
    for method in found.methods:
        tallies = [t for (a, _), t in found.pairs.items() if a == method.label]
        rows.append(
            {
                "method": method.label,
                "skill": method.skill,
                "settings": method.cells,
                "wins": sum(t.wins for t in tallies),
                "ties": sum(t.ties for t in tallies),
                "losses": sum(t.losses for t in tallies),
                "flags": joined(method.flags),
            }
        )
    columns = (
        Column("method", "Method"),
        Column("skill", "Mean skill, %", 1, 100, interval=True, signed=True),
        Column("settings", "Settings", note="settings where its grid is complete"),
        Column("wins", "Wins"),
        Column("ties", "Ties"),
        Column("losses", "Losses"),
        Column("flags", "Flags"),
    )
    text = " ".join(
        [
            f"Over {len(found.cells)} settings. Skill: gain in NAUC over the static hull as a share of the oracle's; "
            "brackets are 95 % intervals over settings. A method that lacks a setting has no mean.",
            f"Wins, ties, losses: against every other method in every setting where both are complete; a tie is within "
            f"{100 * ZONE:g} points of NAUC.",
            found.note,
            left_out(found),
        ]
    )
    return Table("overall", "Overall", columns, rows, text.strip())


def nauc_table(report: Report) -> Table:
    """Return methods by rows and the settings that count by columns."""
    cells = counted(report)
    rows: list[dict[str, Value]] = []
    for label in [m.label for m in report.across.methods]:
        row: dict[str, Value] = {"method": label}
        told: list[Flag] = []
        for cell in cells:
            method = next((m for m in cell.statistics.methods if m.label == label), None)
            if method is None:
                told.append(Flag("not run", f"not run: {cell.folder}"))
            elif not method.complete:
                told.append(Flag("not run", f"incomplete: {cell.folder}"))
            else:
                row |= {
                    f"nauc {cell.folder}": method.curve.nauc,
                    f"rank {cell.folder}": str(method.rank or ""),
                }
        rows.append(row | {"flags": joined(told)})
    columns = [Column("method", "Method")]
    for cell in cells:
        columns.append(Column(f"nauc {cell.folder}", str(cell.folder), 2, 100, interval=True, note=cell.name))
        columns.append(Column(f"rank {cell.folder}", f"rank, {cell.folder}", data=True))
    concerns = [f"{c.folder}: {joined(c.statistics.flags)}" for c in cells if c.statistics.flags]
    text = " ".join(
        [
            "NAUC in % with 95 % bootstrap intervals over seeds and test samples, for complete grids only. NAUC of "
            "different settings do not compare. Methods by mean skill.",
            *(f"{line}." for line in concerns),
            left_out(report.across),
        ]
    )
    return Table("nauc", "NAUC of every setting", [*columns, Column("flags", "Flags")], rows, text.strip())


def pairs_table(report: Report) -> Table:
    """Return every ordered pair of methods, for programs."""
    rows: list[dict[str, Value]] = [
        {"method": a, "other": b, "wins": t.wins, "ties": t.ties, "losses": t.losses}
        for (a, b), t in sorted(report.across.pairs.items())
    ]
    columns = [Column(key, key, data=True) for key in ("method", "other", "wins", "ties", "losses")]
    text = (
        f"Settings that a method wins, ties and loses against another; a tie is within {100 * ZONE:g} points of NAUC."
    )
    return Table("pairs", "Pairs", columns, rows, text, shown=0)


def counted(report: Report) -> list[CellSummary]:
    """Return the settings that count across settings: no smoke runs, no backbone that has seen the data."""
    return [cell for cell in report.cells if not any(flag.kind in INCOMPARABLE for flag in cell.statistics.flags)]


def left_out(across: AcrossStatistics) -> str:
    """Say which settings do not count, and why; empty where all do."""
    if not across.left_out:
        return ""
    return f"Left out: {'; '.join(f'{name} ({reason})' for name, reason in across.left_out)}."
