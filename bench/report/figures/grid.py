"""A figure of small panels on common axes, one per method, with the methods of a family side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import seaborn as sns
from matplotlib.axes import Axes

from bench.report.cells import warnings
from bench.report.context import CellReport
from bench.report.figures.canvas import Sheet, fit, inches, sheet
from bench.report.style import families

COLUMNS, FEW = 6, 4  # panels side by side; up to FEW methods, families have no headings
WIDTH, LEFT, RIGHT, BOTTOM, TOP = 9.2, 0.7, 0.12, 0.62, 0.32  # inches
GAP = (0.14, 0.42)
HEADING = 0.32  # inches
SIZE = 8.0  # points, size of titles


@dataclass(frozen=True)
class Grid:
    """The sheet, its panels by method, the methods of each row, and the bottom and height of the panels in inches."""

    page: Sheet
    panels: Mapping[str, Axes]
    rows: Sequence[Sequence[str]]
    bottom: float
    height: float

    def __iter__(self) -> Iterator[tuple[str, Axes]]:
        return iter(self.panels.items())

    def finish(self) -> None:
        """Keep tick labels only at the left and where there is no panel below. Call it after drawing."""
        below = [len(row) for row in self.rows[1:]] + [0]
        for row, under in zip(self.rows, below, strict=True):
            for i, name in enumerate(row):
                self.panels[name].tick_params(labelsize=8, pad=2, labelleft=i == 0, labelbottom=i >= under)
                sns.despine(ax=self.panels[name])


def titles(names: Sequence[str], room: float, signs: bool) -> list[str]:
    """Return names that fit in `room` inches: on one line, on two lines, or shortened."""
    room -= 0.25 if signs else 0.0
    found = [_broken(name, room) if inches(name, SIZE) > room else name for name in names]
    long = dict(zip(names, fit(names, room, SIZE), strict=True))
    return [title or long[name] for name, title in zip(names, found, strict=True)]


def _broken(name: str, room: float) -> str:
    """Return the name on two lines that both fit, preferably broken after a bracket or comma; '' if none fits."""
    places = [i for signs in ("[, ", "=_-") for i in range(len(name) - 1, 0, -1) if name[i - 1] in signs]
    for i in places:
        if max(inches(name[:i], SIZE), inches(name[i:], SIZE)) <= room:
            return f"{name[:i]}\n{name[i:]}"
    return ""


def panels(
    report: CellReport,
    names: Sequence[str],
    xlabel: str,
    ylabel: str,
    *,
    keys: Sequence[str],
    row: tuple[float, float] = (1.0, 1.9),
    right: float = RIGHT,
    signs: Mapping[str, str] | None = None,
) -> Grid:
    """Start the figure with a panel per method, titled with its name.

    row: heights of panels in inches for many methods and for a few. signs: are written after names, e.g. × for a
    collapsed policy.
    """
    many = len(names) > FEW
    columns = COLUMNS if many else max(len(names), 2)
    rows = packed(families(names) if many else {"": list(names)}, columns)
    high, head = (row[0], HEADING) if many else (row[1], 0.0)
    height = len(rows) * (high + head) + (len(rows) - 1) * GAP[1]
    page = sheet(width=WIDTH, body=BOTTOM + height + TOP, keys=keys, warnings=warnings(report.cell))
    wide = (WIDTH - LEFT - right - (columns - 1) * GAP[0]) / columns
    made: dict[str, Axes] = {}
    top = BOTTOM + height
    for groups in rows:
        held = [name for _, part in groups for name in part]
        shorts = titles(held, wide - 0.02, bool(signs))
        for family, part in groups:
            start = LEFT + held.index(part[0]) * (wide + GAP[0])
            page.text(start, top + 0.08, family, fontsize=9, fontweight="bold", va="center")
        top -= head + high
        for i, (name, short) in enumerate(zip(held, shorts, strict=True)):
            made[name] = page.axes(LEFT + i * (wide + GAP[0]), top, wide, high)
            notes = " ".join(filter(None, [short, (signs or {}).get(name)]))
            made[name].set_title(notes, fontsize=SIZE, loc="left", pad=2, linespacing=1.0)
        top -= GAP[1]
    page.text(LEFT + (WIDTH - LEFT - right) / 2, 0.1, xlabel, ha="center", fontsize=9.5)
    page.text(0.1, BOTTOM + height / 2, ylabel, rotation=90, va="center", fontsize=9.5)
    return Grid(
        page,
        {name: made[name] for name in names},
        [[n for _, part in groups for n in part] for groups in rows],
        BOTTOM,
        height,
    )


def packed(groups: Mapping[str, Sequence[str]], columns: int) -> list[list[tuple[str, Sequence[str]]]]:
    """Put families into rows, side by side if they fit; if a family is split, only its first part has the name."""
    rows: list[list[tuple[str, Sequence[str]]]] = []
    for family, names in groups.items():
        for start in range(0, len(names), columns):
            part = names[start : start + columns]
            room = (row for row in rows if sum(len(held) for _, held in row) + len(part) <= columns)
            place = next(room, None) if start == 0 else None
            if place is None:
                rows.append(place := [])
            place.append((family if start == 0 else "", part))
    return rows


def area_key(grid: Grid, area: float, shares: Sequence[float] = (0.1, 0.5, 1.0)) -> None:
    """Draw a key of circle areas at the bottom right of the figure."""
    page = grid.page
    axes = page.axes(WIDTH - 2.35, 0.0, 2.25, 0.36)
    axes.set_axis_off()
    axes.set_xlim(0, 2.25)
    axes.set_ylim(0, 0.36)
    for i, share in enumerate(shares):
        x = 0.15 + 0.75 * i
        axes.scatter([x], [0.18], s=area * share, color="#9A9A9A", linewidth=0)
        axes.text(x + 0.19, 0.18, f"{100 * share:.0f} %", fontsize=8, va="center")
