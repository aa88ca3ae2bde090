"""Tables across settings: mean own gain with wins, ties and losses; own gain in each setting; all pairs of methods."""

from __future__ import annotations

from bench.report.formats.table import Column, Highlight, Table, Value
from bench.report.summary import CellSummary, Report
from bench.report.tables.words import joined
from bench.stats.across import ZONE, AcrossStatistics, named_alike
from bench.stats.flags import Flag

TALLY = ("wins", "ties", "losses")


def overall(report: Report) -> Table:
    """Return methods by descending mean own gain over all valid settings, with wins, ties and losses.

    These need FEW settings (`bench.stats.across`).
    """
    found = report.across
    rows: list[dict[str, Value]] = []
    for method in found.methods:
        tallies = [t for (a, _), t in found.pairs.items() if a == method.label]
        counts = {key: sum(getattr(t, key) for t in tallies) for key in TALLY}
        rows.append(
            {
                "method": method.label,
                "own": method.own,
                "gain": method.gain,
                "settings": method.cells,
                **(counts if found.pairs else {}),
                "flags": joined(method.flags),
            }
        )
    columns = (
        Column("method", "Method"),
        Column("own", "Mean own gain, points", 2, 100, interval=True, signed=True),
        Column(
            "gain", "With static exits, points", 2, 100, interval=True, signed=True, note="mean NAUC over static hull"
        ),
        Column("settings", "Settings", note="settings where its grid is complete"),
        *(Column(key, key.capitalize()) for key in TALLY if found.pairs),
        Column("flags", "Flags"),
    )
    counted = (
        "Wins, ties, losses: against every other method in every setting where both are complete; a tie is within "
        f"{100 * ZONE:g} points of own gain."
    )
    text = " ".join(
        [
            f"Over {len(found.cells)} settings. Own gain: mean over costs of a method's own curve minus the static "
            "hull. With static exits: NAUC along the hull with static exits, minus that of the static hull. A method "
            "that lacks a setting has no mean.",
            "Brackets are 95 % intervals over settings. " + counted if found.pairs else "",
            found.note,
            left_out(found),
        ]
    )
    return Table("overall", "Overall", columns, rows, " ".join(text.split()))


def every_setting(report: Report) -> Table:
    """Return own gain with a row per method and a column per valid setting; data files also have NAUC and rank."""
    cells = counted(report)
    rows: list[dict[str, Value]] = []
    highlights: dict[tuple[int, str], Highlight] = {}
    for i, label in enumerate(m.label for m in report.across.methods):
        row: dict[str, Value] = {"method": label}
        told: list[Flag] = []
        for cell in cells:
            method = next((m for m in named_alike(cell.statistics).methods if m.label == label), None)
            if method is None:
                told.append(Flag("not run", f"not run: {cell.folder}"))
            elif not method.complete:
                told.append(Flag("not run", f"incomplete: {cell.folder}"))
            else:
                row |= {
                    f"own {cell.folder}": method.curve.own,
                    f"nauc {cell.folder}": method.curve.nauc,
                    f"rank {cell.folder}": str(method.rank or ""),
                }
                if method.leading:
                    highlights[i, f"own {cell.folder}"] = "leading"
        rows.append(row | {"flags": joined(told)})
    columns = [Column("method", "Method")]
    for cell in cells:
        columns += [
            Column(f"own {cell.folder}", str(cell.folder), 2, 100, interval=True, signed=True, note=cell.name),
            Column(f"nauc {cell.folder}", f"NAUC, {cell.folder}", 2, 100, data=True),
            Column(f"rank {cell.folder}", f"rank, {cell.folder}", data=True),
        ]
    concerns = [f"{c.folder}: {joined(c.statistics.flags)}" for c in cells if c.statistics.flags]
    text = " ".join(
        [
            "Own gain in points with 95 % bootstrap intervals over seeds, pools and test samples, for complete grids "
            "only. Methods by mean own gain. Shaded or ●: the leading group of a setting, whose rank may be 1. On a "
            "network that was trained with its heads, methods use these native heads.",
            *(f"{line}." for line in concerns),
            left_out(report.across),
        ]
    )
    columns.append(Column("flags", "Flags"))
    return Table("own_gain", "Own gain in every setting", columns, rows, text.strip(), highlights)


def pairs_table(report: Report) -> Table:
    """Return wins, ties and losses of every ordered pair of methods, for data files only."""
    rows: list[dict[str, Value]] = [
        {"method": a, "other": b, "wins": t.wins, "ties": t.ties, "losses": t.losses}
        for (a, b), t in sorted(report.across.pairs.items())
    ]
    columns = [Column(key, key, data=True) for key in ("method", "other", *TALLY)]
    text = (
        f"Settings that a method wins, ties and loses against another; a tie is within {100 * ZONE:g} points of own "
        "gain."
    )
    return Table("pairs", "Pairs", columns, rows, text, shown=0)


def counted(report: Report) -> list[CellSummary]:
    """Return the settings that count in the statistics across settings."""
    return [cell for cell in report.cells if cell.name in report.across.cells]


def left_out(across: AcrossStatistics) -> str:
    """Return a sentence on the settings that do not count, and why; empty if all count."""
    if not across.left_out:
        return ""
    return f"Left out: {'; '.join(f'{name} ({reason})' for name, reason in across.left_out)}."
