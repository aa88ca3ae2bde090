"""One table, two forms: Markdown for readers, CSV for programs. And the leaderboard made of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.aggregate import Estimate, Row, leaders, random_play
from bench.report.style import MOST_LINES
from bench.report.text import escape, number

Value = str | int | float | Estimate | None


@dataclass(frozen=True)
class Column:
    """A column: its CSV key, its Markdown title, and how its numbers are shown (the CSV has them unscaled)."""

    key: str
    title: str
    digits: int = 0
    scale: float = 1.0
    half: bool = False  # show ± in Markdown; the CSV always has it


@dataclass(frozen=True)
class Table:
    """Rows of values under columns, with a caption; `marks` maps (row, column key) to "best" or "tie".

    Only the first `shown` rows stand in Markdown (None: all); the CSV has every row.
    """

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str = ""
    marks: Mapping[tuple[int, str], str] | None = None
    shown: int | None = None

    def markdown(self) -> str:
        """Return a GitHub table followed by its caption."""
        align = ["---" if self._is_text(c) else "--:" for c in self.columns]
        lines = [[escape(c.title) for c in self.columns], align]
        lines += [[self._shown(i, c) for c in self.columns] for i in range(len(self.rows[: self.shown]))]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        return f"{table}\n\n{self.caption}\n" if self.caption else f"{table}\n"

    def csv(self) -> str:
        """Return plain numbers: the mean under the column's key, the half width of its interval under `key_ci95`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        estimates = {c.key for c in self.columns if any(isinstance(r.get(c.key), Estimate) for r in self.rows)}
        writer.writerow(
            [n for c in self.columns for n in ([c.key, f"{c.key}_ci95"] if c.key in estimates else [c.key])]
        )
        for row in self.rows:
            cells: list[str] = []
            for column in self.columns:
                value = row.get(column.key)
                pair = (value.mean, value.half) if isinstance(value, Estimate) else (value, None)
                cells += [plain(v) for v in (pair if column.key in estimates else pair[:1])]
            writer.writerow(cells)
        return out.getvalue()

    def _is_text(self, column: Column) -> bool:
        return any(isinstance(row.get(column.key), str) for row in self.rows)

    def _shown(self, i: int, column: Column) -> str:
        value = self.rows[i].get(column.key)
        if isinstance(value, Estimate):
            text = number(value, column.digits, column.scale, half=column.half)
        elif isinstance(value, float):
            text = f"{value * column.scale:.{column.digits}f}"
        else:
            text = "–" if value is None else escape(str(value))
        mark = (self.marks or {}).get((i, column.key))
        return f"**{text}**" if mark == "best" else f"{text} ≈" if mark == "tie" else text


def plain(value: str | int | float | None) -> str:
    """Write a value for a CSV: nine significant digits, empty where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


COLUMNS = (
    Column("method", "Method"),
    Column("budget", "Budget", 2),
    Column("accuracy", "Accuracy %", 2, 100, half=True),
    Column("macs_fraction", "MACs, % of backbone", 1, 100, half=True),
    Column("gmacs", "GMACs", 4),
    Column("gain_random", "Gain over random, points", 2, 100, half=True),
    Column("ece_mass15", "ECE %", 2, 100),
    Column("nll", "NLL", 3),
    Column("brier", "Brier", 3),
    Column("set_size_lac@0.05", "LAC set size", 2),
    Column("coverage_lac@0.05", "LAC coverage %", 1, 100),
    Column("seeds", "Seeds"),
    Column("notes", "Notes"),
)

CAPTION = """\
Means over seeds; ± is the half width of the 95 % Student-t interval over seeds (none for one seed). Budget: the
allowed fraction of the plain backbone's MACs, met on val. MACs: what was really spent on test, heads and gates
included. Gain over random: accuracy minus what the same exit shares would reach on randomly dealt samples. ECE: 15
bins of equal mass. LAC: split conformal sets at α = 0.05, calibrated on cal only; set size is the mean number of
classes, and coverage should be 95 %. **Bold** is the best accuracy of a budget if its seed-by-seed difference to
every other method has a 95 % t interval above zero (not corrected for the number of methods); otherwise ≈ marks what
cannot be told apart. Only rows with every seed compete. The test images are the same for all seeds, so no interval here
covers the choice of test images. Static rows send everybody to one exit. Hull rows mix the two static exits at random
that are worth most at a budget, chosen on val: the line of zero skill. Random rows spread samples over all exits as
evenly as the budget allows; "random, shares of" deals a method's exit shares to random samples (where methods are many,
in the CSV alone). These are expectations without gates. The oracle knows the labels and leaves at the earliest correct
exit."""


def leaderboard(rows: Sequence[Row], num_exits: int | None = None) -> Table:
    """Make the leaderboard of a cell from its aggregated rows; the rows of random play are added at the end."""
    marks, found = leaders(rows), []
    many = len({row.method for row in rows if row.kind == "method"}) > MOST_LINES
    shown = len(rows) if many else None
    rows = [*rows, *random_play(rows)]
    for row in rows:
        macs = row.estimate("macs")
        values: dict[str, Value] = {c.key: row.estimate(c.key) for c in COLUMNS}
        values |= {
            "method": title(row, num_exits),
            "budget": row.budget,
            "gmacs": Estimate(macs.mean / 1e9, macs.half / 1e9, macs.n) if macs else None,
            "seeds": len(row.seeds),
            "notes": ", ".join(row.flags),
        }
        if row.kind == "reference":
            values["gain_random"] = None
        found.append(values)
    keys = {(i, "accuracy"): marks[(r.method, r.point)] for i, r in enumerate(rows) if (r.method, r.point) in marks}
    return Table(COLUMNS, found, CAPTION, keys, shown)


def title(row: Row, num_exits: int | None = None) -> str:
    """Name a row: the method, or the reference with its exit."""
    if row.kind == "method" or not row.point.startswith("exit="):
        return row.method
    exit_number = int(row.point.removeprefix("exit="))
    return f"{row.method}, exit {exit_number}" + (" (plain backbone)" if exit_number + 1 == num_exits else "")
